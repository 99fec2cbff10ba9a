"""Noise distribution matching: statistics of the changes that damage makes to embeddings, by type (Qian et al., 2021).

For each type k of damage to one modality, this module measures the mean mu_k and standard deviation sigma_k, per
dimension, of the difference between the damaged and the clean embedding. Training then replaces a clean embedding e by
e + mu_k + sigma_k N(0, 1), without decoding audio or video. Quality measures are drawn from the mean and standard
deviation of the damaged clips (our addition: a clip's quality under noise depends little on its clean quality).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from avsv.embeddings.quality_tables import read_quality
from avsv.errors import InputError
from avsv.importers.numpy_files import read_npz
from avsv.jobs.files import whole_file
from avsv.kaldi.damage import MISSING
from avsv.kaldi.embeddings import read_embeddings

LEAST = 2  # clips of each type: the minimum for a standard deviation


@dataclass(frozen=True)
class NoiseStatistics:
    """Statistics of K types of damage.

    kinds : K names ; counts : (K,) clips of each
    mean, std : (K, d) of the differences between damaged and clean embeddings
    quality : names of q measures ; quality_mean, quality_std : (K, q) over the damaged clips
    """

    kinds: tuple[str, ...]
    counts: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    quality: tuple[str, ...]
    quality_mean: np.ndarray
    quality_std: np.ndarray


def measure_noise(
    clean_scp: Path | str,
    noisy: Sequence[tuple[Path | str, dict[str, str] | str]],
    quality: Sequence[str] = (),
    wanted: Sequence[str] = (),
) -> NoiseStatistics:
    """Compare damaged embeddings with the clean ones of the same clips.

    Parameters
    ----------
    clean_scp : embeddings of clean clips
    noisy : embeddings of damaged clips, and their damage: utterance -> kind, or one kind for all
    quality : tables beside the embeddings, such as "utt2snr" or "log:utt2magnitude"
    wanted : kinds to measure; empty: all

    Raises
    ------
    InputError : nothing to compare, a wanted kind that no clip has, a kind with a single clip, or embeddings of
        different sizes
    """
    clean = read_embeddings(clean_scp)
    row_of = {utt: row for row, utt in enumerate(clean.ids)}
    differences: dict[str, list[np.ndarray]] = {}
    qualities: dict[str, list[np.ndarray]] = {}
    for scp, kind_of in noisy:
        damaged = read_embeddings(scp)
        if damaged.vectors.shape[1] != clean.vectors.shape[1]:
            raise InputError(f"{scp}: has embeddings of size {damaged.vectors.shape[1]}, but {clean_scp} has size "
                            f"{clean.vectors.shape[1]}; use the same encoder for both")  # fmt: skip
        kinds = [kind_of if isinstance(kind_of, str) else kind_of.get(utt) for utt in damaged.ids]
        kinds = [kind if utt in row_of else None for utt, kind in zip(damaged.ids, kinds, strict=True)]
        values = read_quality(scp, quality, damaged.ids)
        for kind in {kind for kind in kinds if kind and kind != MISSING}:
            rows = [i for i, k in enumerate(kinds) if k == kind]
            same = [row_of[damaged.ids[i]] for i in rows]
            differences.setdefault(kind, []).append(damaged.vectors[rows] - clean.vectors[same])
            qualities.setdefault(kind, []).append(values[rows])
    if not differences:
        raise InputError(f"{', '.join(str(scp) for scp, _ in noisy)}: no clip is damaged and has a clean embedding in "
                        f"{clean_scp}; does `modality` name what the table damages?")  # fmt: skip
    if absent := sorted(set(wanted) - set(differences)):
        raise InputError(f"{', '.join(str(scp) for scp, _ in noisy)}: no clip is damaged by {', '.join(absent)}; known "
                        f"kinds: {', '.join(sorted(differences))}")  # fmt: skip
    kinds = sorted(wanted or differences)
    change = [np.concatenate(differences[kind]) for kind in kinds]
    value = [np.concatenate(qualities[kind]) for kind in kinds]
    for kind, rows in zip(kinds, change, strict=True):
        if len(rows) < LEAST:
            raise InputError(f"{kind}: {len(rows)} clip; a standard deviation needs at least {LEAST}")
    for kind, rows in zip(kinds, value, strict=True):
        if np.isnan(rows).all(0).any():
            raise InputError(f"{kind}: none of its {len(rows)} clips has a value in one of {', '.join(quality)}")
    return NoiseStatistics(
        tuple(kinds), np.array([len(rows) for rows in change]),
        np.stack([rows.mean(0) for rows in change]), np.stack([rows.std(0) for rows in change]),
        tuple(quality), np.stack([np.nanmean(rows, 0) for rows in value]),
        np.stack([np.nanstd(rows, 0) for rows in value]),
    )  # fmt: skip


def write_noise(path: Path | str, noise: NoiseStatistics) -> None:
    """Write statistics as an npz archive of plain arrays."""
    with whole_file(path, "wb") as out:
        np.savez(out, kinds=np.array(noise.kinds, str), counts=noise.counts, mean=noise.mean, std=noise.std,
                 quality=np.array(noise.quality, str), quality_mean=noise.quality_mean,
                 quality_std=noise.quality_std)  # fmt: skip


def read_noise(path: Path | str) -> NoiseStatistics:
    """Read statistics written by `write_noise`; raise InputError if the file is absent or in another format."""
    try:
        os.stat(path)
        arrays = read_npz(path, str(path))
        names = {key: tuple(str(name) for name in arrays.pop(key)) for key in ("kinds", "quality")}
        return NoiseStatistics(**names, **arrays)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; avsv noise-statistics makes it") from None
    except (ValueError, KeyError, TypeError, EOFError, OSError) as error:
        raise InputError(f"{path}: was not written by avsv noise-statistics: {error}") from None
