"""Kaldi tables, archives, data directories, trials and scores. No torch here."""
