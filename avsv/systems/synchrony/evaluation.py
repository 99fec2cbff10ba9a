"""How well synchrony is told: pairs in folds of people, offsets, replaced sound, speakers among faces."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.evaluation.errors import count_errors, equal_error
from avsv.kaldi.decimals import number_of
from avsv.kaldi.tables import read_table
from avsv.systems.synchrony.folds import measure_folds
from avsv.systems.synchrony.scoring import pair_distances, shift_columns

FRAME = 0.04  # seconds


def read_distances(path: Path | str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Clip -> offsets (lags,) and distances (cubes, lags), as `avsv synchrony score` wrote them."""
    import kaldiio

    try:
        archive = kaldiio.load_scp(str(path))
        matrices = {utt: archive[utt] for utt in archive}
    except (OSError, ValueError, AssertionError) as error:
        raise InputError(f"{path}: cannot be read as distances, made by avsv synchrony score: {error}") from None
    for utt, matrix in matrices.items():
        if matrix.ndim != 2 or len(matrix) < 2 or not (np.diff(matrix[0]) > 0).all():
            raise InputError(f"{path}: {utt} holds no distances; expected what avsv synchrony score writes")
    return {utt: (matrix[0].astype(np.float64), matrix[1:]) for utt, matrix in matrices.items()}


def read_numbers(path: Path | str) -> dict[str, float]:
    """A table of numbers; InputError where one is none."""
    numbers = {}
    for utt, text in read_table(path).items():
        try:
            numbers[utt] = number_of(text)
        except ValueError:
            raise InputError(f'{path}: {utt} has "{text}", expected a number') from None
    return numbers


def pair_measures(folder: Path, utt2spk: Mapping[str, str], shift: float, n_folds: int) -> dict:
    """EER, AUC and AP of single cubes at one shift of the impostors, in folds of people.

    `shift` is what was asked for, `shift_taken` the offsets nearest to it that the network has, earlier and later.
    """
    clips = read_distances(folder / "distances.scp")
    pairs = {utt: pair_distances(offsets, matrix, shift) for utt, (offsets, matrix) in clips.items()}
    offsets = next(iter(clips.values()), (np.zeros(1), None))[0]
    taken = [round(float(offsets[column]), 4) for column in shift_columns(offsets, shift)[1:]]
    measures = measure_folds(pairs, utt2spk, n_folds).summary()
    return {"clips": len(clips), "shift": shift, "shift_taken": taken, **measures}


def offset_measures(folder: Path, true: Mapping[str, float], frame: float = FRAME) -> dict:
    """The share of clips whose offset is found within a frame, and the median error; clips without one count as missed.

    Parameters
    ----------
    true : clip -> seconds by which its sound is late
    """
    found = read_numbers(folder / "utt2offset")
    unknown = sorted(found.keys() - true.keys())
    if unknown:
        raise InputError(f"{folder}/utt2offset: {len(unknown)} clips have no true offset, such as {unknown[0]}")
    errors = np.array([abs(found[utt] - true[utt]) for utt in found])
    within = int((errors <= frame + 1e-6).sum())
    return {"clips": len(true), "found": len(found), "within_frame_percent": 100 * within / max(1, len(true)),
            "median_error_ms": float(1000 * np.median(errors)) if len(errors) else None}  # fmt: skip


def replaced_measures(folder: Path, replaced: Path) -> dict:
    """Clips told from clips with the sound of somebody else by their confidence, and by the network's own threshold."""
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
    """The share of clips in which the box of the face that was found holds the place of the one who speaks.

    Parameters
    ----------
    boxes : clip -> "left top right bottom", pixels; a clip without one counts as missed
    places : clip -> "x y", pixels
    """
    unknown = sorted(boxes.keys() - places.keys())
    if unknown:
        raise InputError(f"{len(unknown)} clips have no true speaker, such as {unknown[0]}")
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
