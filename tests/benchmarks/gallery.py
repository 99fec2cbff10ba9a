#!/usr/bin/env python3
"""Identification among 100,000 and 1,000,000 people, beside the bare matrix product; memory and size of the file.

    python -m tests.benchmarks.gallery                    10,000 and 100,000 people: minutes
    python -m tests.benchmarks.gallery --large            adds 1,000,000: half an hour, 8 GB in --dir

Synthetic people with one recording each: a voice of 192 values and a face of 512, scored by the cosine and a
quality-dependent fusion of three measures a modality. "bare" is the product of the same vectors, in memory, with those
of the file, just before. Each figure is the fastest of --repeats, on one thread: processor seconds and their ratio,
which a busy machine changes little, and the seconds on the clock. The peak memory is that of a process that only opens
the gallery and identifies. The target is 5 processor seconds for one file among a million people, and as much less
among fewer, from 100,000 on; the exit status is 1 if it is missed.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from avsv.people.gallery import Gallery, create_gallery
from avsv.people.gallery_enrolment import Sample, insert_recording, new_person
from avsv.people.gallery_packed import pack
from avsv.people.gallery_setup import CALIBRATION, Encoder, make_setup
from avsv.scoring.calibration import write_fusion
from avsv.scoring.quality_fusion import FusedSystem, Influence, QualityFusion
from avsv.scoring.verification import Clip

SIZES = {"voice": 192, "face": 512}
MEASURES = {
    "voice": ("utt2snr", "utt2dur", "utt2magnitude"),
    "face": ("utt2face_size", "utt2sharpness", "utt2magnitude"),
}
BATCH = 8192  # people in a transaction
PEOPLE, LARGE = (10_000, 100_000), 1_000_000
SECONDS, MEBIBYTES = 5.0, 150.0  # for one file among a million people


def fusion() -> QualityFusion:
    systems = []
    for modality, tables in MEASURES.items():
        influences = [
            Influence(table, True, None, 1.0, [1.0] * 2, [0.5] * 2, [0.1, -0.1], [0.1, 0.1]) for table in tables
        ]
        systems.append(FusedSystem(modality, f"{modality}:1 cosine", 3.0, 0.3, 0.0, influences))
    return QualityFusion(0.5, 0.01, systems, [])


def clip(rng: np.random.Generator) -> Clip:
    vectors = {modality: rng.standard_normal(size, np.float32) for modality, size in SIZES.items()}
    quality = {modality: {table: float(rng.uniform(2, 9)) for table in tables} for modality, tables in MEASURES.items()}
    return Clip(vectors, {}, {modality: f"{modality}:1" for modality in SIZES}, quality)


def make(path: Path, n_people: int) -> float:
    """Enrol people without the checks, which compare each with everybody; returns the seconds."""
    write_fusion(path.with_suffix(".json"), fusion())
    parts = {"calibration": {CALIBRATION: path.with_suffix(".json").read_bytes()}}
    part = path.with_suffix(".part")
    for name in (part, *(Path(f"{part}{end}") for end in ("-wal", "-shm"))):
        name.unlink(missing_ok=True)
    create_gallery(part, make_setup({modality: Encoder("", f"{modality}:1") for modality in SIZES}, parts))
    gallery, rng, begin = Gallery(part), np.random.default_rng(0), time.perf_counter()
    for first in range(0, n_people, BATCH):
        people = range(first, min(first + BATCH, n_people))
        with gallery.database.writing() as connection:
            for person in people:
                identifier = new_person(connection, f"person {person:07d}")
                sample = Sample(f"/media/{person:07d}.mp4", f"{person:016x}", clip(rng))
                insert_recording(connection, gallery.known, identifier, sample, "", "2026-01-01T00:00:00Z")
            pack(connection, gallery.known, people)
    gallery.database.empty_log()
    part.rename(path)
    return time.perf_counter() - begin


def identify(path: Path, n_files: int, repeats: int) -> None:
    """Runs in a process of its own: prints the seconds of an identification, its processor seconds and the peak MiB."""
    gallery, rng, seconds = Gallery(path), np.random.default_rng(1), []
    for _ in range(repeats):
        clips = [clip(rng) for _ in range(n_files)]
        begin, processor = time.perf_counter(), time.process_time()
        gallery.identify(clips)
        seconds.append((time.perf_counter() - begin, time.process_time() - processor))
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count at least the parent's peak
    print(*map(min, zip(*seconds, strict=True)), int(status.split("VmHWM:")[1].split()[0]) / 1024)


def bare(n_people: int, n_files: int, repeats: int) -> float:
    """Processor seconds of the matrix products alone. 100,000 people are in memory, and multiplied again and again."""
    rows = min(n_people, 100_000)
    rng, seconds = np.random.default_rng(2), []
    vectors = {modality: rng.standard_normal((rows, size), np.float32) for modality, size in SIZES.items()}
    files = {modality: rng.standard_normal((size, n_files), np.float32) for modality, size in SIZES.items()}
    for _ in range(repeats):
        begin = time.process_time()
        for _ in range(n_people // rows):
            for modality in SIZES:
                vectors[modality] @ files[modality]
        seconds.append(time.process_time() - begin)
    return min(seconds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "avsv-benchmark")
    parser.add_argument("--large", action="store_true", help="add 1,000,000 people")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--identify", nargs=2, metavar=("GALLERY", "FILES"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.identify:
        identify(Path(args.identify[0]), int(args.identify[1]), args.repeats)
        return 0
    args.dir.mkdir(parents=True, exist_ok=True)
    print(f"{'people':>9} {'files':>5} {'clock':>8} {'cpu':>8} {'bare':>8} {'ratio':>6} {'MiB':>6} {'KB a person':>12}"
          "   target")  # fmt: skip
    met = True
    for n_people in (*PEOPLE, *([LARGE] if args.large else [])):
        path = args.dir / f"{n_people}.gallery"
        if not path.exists():
            print(f"made {n_people} people in {make(path, n_people):.0f} s", file=sys.stderr)
        for n_files in (1, 16):
            alone = bare(n_people, n_files, args.repeats)
            command = [
                sys.executable,
                "-m",
                "tests.benchmarks.gallery",
                "--repeats",
                str(args.repeats),
                "--identify",
                str(path),
                str(n_files),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
            clock, seconds, mebibytes = map(float, done.stdout.split())
            limit = SECONDS * n_people / LARGE if n_files == 1 and n_people >= PEOPLE[1] else np.inf
            good = seconds <= limit and mebibytes <= MEBIBYTES
            met &= good
            print(f"{n_people:9} {n_files:5} {clock:8.3f} {seconds:8.3f} {alone:8.3f} {seconds / alone:6.1f} "
                  f"{mebibytes:6.0f} "
                  f"{path.stat().st_size / n_people / 1000:12.1f}   "
                  f"{f'{limit:g} s, ' if np.isfinite(limit) else ''}{MEBIBYTES:.0f} MiB"
                  f"{'' if good else '   MISSED'}", flush=True)  # fmt: skip
    return not met


if __name__ == "__main__":
    sys.exit(main())
