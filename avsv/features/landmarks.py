"""Facial key points supplied by a corpus for every frame of a clip; data directories list them in landmarks.scp.

landmarks.scp maps an utterance to a tab-separated text file with a header and one line per frame: FRAME X Y W H (the
face's box) and five points x y (the eyes, the nose, the corners of the mouth), in pixels.
"""

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.tables import read_lines


def read_landmarks(path: str) -> np.ndarray:
    """Boxes and key points of a clip, (frames, 14) float; raises InputError if the file has another format."""
    try:
        rows = np.array([line.split("\t")[1:] for line in read_lines(path)[1:] if line.strip()], dtype=np.float64)
    except ValueError:
        rows = np.zeros((0, 0))
    if rows.ndim != 2 or rows.shape[1] != 14 or not len(rows):
        raise InputError(f"{path}: expected a header and lines of FRAME, X Y W H and five points x y, tab separated")
    return rows
