"""Files, processes and threads of a job: atomic writing, guarded reading, worker processes, progress, provenance."""
