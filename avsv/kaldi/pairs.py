"""Voice and face embeddings of the same clips, side by side."""

from pathlib import Path

import numpy as np

from avsv.kaldi.embeddings import read_embeddings


def join_embeddings(
    voice_scp: Path | str, face_scp: Path | str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Voice and face embeddings side by side; a missing one is a row of zeros.

    Returns
    -------
    (n, n_voice) float32 ; (n, n_face) float32 ; (n, 2) bool, whether each is present ; n utterances
    """
    sides = [read_embeddings(voice_scp), read_embeddings(face_scp)]
    utts = sorted(set(sides[0].ids) | set(sides[1].ids), key=str.encode)
    rows = {utt: row for row, utt in enumerate(utts)}
    present = np.zeros((len(utts), 2), bool)
    full = []
    for modality, side in enumerate(sides):
        places = [rows[utt] for utt in side.ids]
        vectors = np.zeros((len(utts), side.vectors.shape[1]), np.float32)
        vectors[places] = side.vectors
        present[places, modality] = True
        full.append(vectors)
    return full[0], full[1], present, utts
