"""Evaluation of synchrony: matching of short segments, offsets, replaced audio, active speakers."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.errors import count_errors, equal_error
from avsv.kaldi.decimals import number_of
from avsv.kaldi.tables import read_table
from avsv.systems.synchrony.folds import measure_folds
from avsv.systems.synchrony.offsets import pair_distances, shift_columns

FRAME = 0.04  # seconds


def read_distances(path: Path | str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read the output of `avsv synchrony score`: clip -> offsets (lags,) and distances (cubes, lags)."""
    import kaldiio

    try:
        archive = kaldiio.load_scp(str(path))
        matrices = {utt: archive[utt] for utt in archive}
    except (OSError, ValueError, AssertionError) as error:
        raise InputError(f"{path}: expected an index of distances from avsv synchrony score: {error}") from None
    for utt, matrix in matrices.items():
        if matrix.ndim != 2 or len(matrix) < 2 or not (np.diff(matrix[0]) > 0).all():
            raise InputError(
                f"{path}: expected distances from avsv synchrony score, found another kind of matrix for {utt}"
            )
    return {utt: (matrix[0].astype(np.float64), matrix[1:]) for utt, matrix in matrices.items()}


def read_numbers(path: Path | str) -> dict[str, float]:
    """Read a table of numbers; InputError names a value that is not a number."""
    numbers = {}
    for utt, text in read_table(path).items():
        try:
            numbers[utt] = number_of(text)
        except ValueError:
            raise InputError(f'{path}: expected a number for {utt}, found "{text}"') from None
    return numbers


def pair_measures(folder: Path, utt2spk: Mapping[str, str], shift: float, n_folds: int) -> dict:
    """EER, AUC and AP of single cubes with impostors at one shift, over folds of people.

    In the result, `shift` is the requested shift in seconds and `shift_taken` the nearest offsets that the network has,
    earlier and later.
    """
    clips = read_distances(folder / "distances.scp")
    pairs = {utt: pair_distances(offsets, matrix, shift) for utt, (offsets, matrix) in clips.items()}
    offsets = next(iter(clips.values()), (np.zeros(1), None))[0]
    taken = [round(float(offsets[column]), 4) for column in shift_columns(offsets, shift)[1:]]
    measures = measure_folds(pairs, utt2spk, n_folds).summary()
    return {"clips": len(clips), "shift": shift, "shift_taken": taken, **measures}


def offset_measures(folder: Path, true: Mapping[str, float], frame: float = FRAME) -> dict:
    """Share of clips with an offset within one frame of the true one, and the median error.

    A clip without an offset counts as an error.

    Parameters
    ----------
    true : clip -> delay of its audio in seconds
    """
    estimated = read_numbers(folder / "utt2offset")
    unknown = sorted(estimated.keys() - true.keys())
    if unknown:
        raise InputError(f"{folder}/utt2offset: {len(unknown)} clips have no reference offset, such as {unknown[0]}")
    errors = np.array([abs(estimated[utt] - true[utt]) for utt in estimated])
    within = int((errors <= frame + 1e-6).sum())
    return {"clips": len(true), "found": len(estimated), "within_frame_percent": 100 * within / max(1, len(true)),
            "median_error_ms": float(1000 * np.median(errors)) if len(errors) else None}  # fmt: skip


def replaced_measures(folder: Path, replaced: Path) -> dict:
    """Detection of replaced audio: EER of the confidence, and error rates at the network's own threshold."""
    own, other = (read_numbers(place / "utt2confidence") for place in (folder, replaced))
    rate, _ = equal_error(
        count_errors(np.array([*own.values(), *other.values()]), np.arange(len(own) + len(other)) < len(own))
    )
    flags = [read_table(place / "utt2speaking") for place in (folder, replaced)]
    passed, flagged = (sum(flag == wanted for flag in table.values()) / max(1, len(table))
                       for table, wanted in zip(flags, ("yes", "no"), strict=True))  # fmt: skip
    return {"clips": len(own), "replaced": len(other), "eer_percent": 100 * rate, "passed_percent": 100 * passed,
            "flagged_percent": 100 * flagged}  # fmt: skip


def speaker_measures(boxes: Mapping[str, str], places: Mapping[str, str]) -> dict:
    """Share of clips in which the box of the detected speaker contains the position of the true speaker.

    Parameters
    ----------
    boxes : clip -> "left top right bottom", pixels; a clip without a box counts as an error
    places : clip -> "x y" of the true speaker, pixels
    """
    unknown = sorted(boxes.keys() - places.keys())
    if unknown:
        raise InputError(f"{len(unknown)} clips have no reference position of the speaker, such as {unknown[0]}")
    right = 0
    for utt, box in boxes.items():
        try:
            left, top, far, bottom = map(float, box.split())
            x, y = map(float, places[utt].split())
        except ValueError:
            raise InputError(f'{utt}: expected a box "left top right bottom" and a place "x y", found "{box}" and '
                            f'"{places[utt]}"') from None  # fmt: skip
        right += left <= x <= far and top <= y <= bottom
    return {"clips": len(places), "found": len(boxes), "right_percent": 100 * right / max(1, len(places))}
