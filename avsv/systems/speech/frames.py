"""Frames of speech from a folder of `avsv features`, or any folder with Kaldi's feats.scp and vad.scp."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.matrices import read_entry
from avsv.kaldi.tables import read_table

TABLES = ("feats.scp", "vad.scp")


class SpeechFrames:
    """The frames with speech of the recordings in a folder, read one recording at a time.

    Parameters
    ----------
    folder : with feats.scp and vad.scp

    Raises
    ------
    InputError : a table is absent or empty, or lacks a recording of the other
    """

    def __init__(self, folder: Path | str):
        self.folder = Path(folder)
        for name in TABLES:
            if not (self.folder / name).exists():
                raise InputError(f"{self.folder}: has no {name}; expected a folder that avsv features wrote")
        self.features, self.activity = (read_table(self.folder / name) for name in TABLES)
        if not self.features:
            raise InputError(f"{self.folder}/feats.scp: is empty")
        if absent := sorted(self.features.keys() - self.activity.keys()):
            raise InputError(
                f"{self.folder}/vad.scp: has no line for {absent[0]}, which feats.scp has; make both again"
            )

    @property
    def tables(self) -> list[Path]:
        return [self.folder / name for name in TABLES]

    @property
    def utts(self) -> list[str]:
        """The recordings, sorted."""
        return sorted(self.features)

    def of(self, utt: str, size: int | None = None) -> np.ndarray:
        """The frames with speech of a recording: (t, d) float64, t may be 0.

        Parameters
        ----------
        size : the values a frame must have

        Raises
        ------
        InputError : no such archive, frames of another size, a value that is not finite, or voice activity of another
            length
        """
        features, activity = read_entry(self.features[utt]), read_entry(self.activity[utt])
        if features.ndim != 2 or activity.shape != features.shape[:1]:
            raise InputError(f"{self.folder}: {utt} has features of shape {features.shape} and voice activity of shape "
                            f"{activity.shape}; expected (frames, values) and (frames,)")  # fmt: skip
        if size is not None and features.shape[1] != size:
            raise InputError(f"{self.folder}: {utt} has {features.shape[1]} values a frame, the model expects {size}; "
                            "use the same kind of features as in training")  # fmt: skip
        if not np.isfinite(features).all():
            raise InputError(f"{self.folder}: {utt} has features that are not finite")
        return features[activity > 0].astype(np.float64)

    def n_frames(self, utt: str) -> int:
        """Number of frames with speech of a recording."""
        return int((read_entry(self.activity[utt]) > 0).sum())

    def each(self, utts: Sequence[str], size: int | None = None) -> Iterator[tuple[str, np.ndarray]]:
        """The recordings with speech, and their frames."""
        for utt in utts:
            if len(frames := self.of(utt, size)):
                yield utt, frames

    def size(self) -> int:
        """Values of a frame."""
        return read_entry(next(iter(self.features.values()))).shape[-1]


def blocks_of_frames(each: Iterator[np.ndarray], least: int) -> Iterator[np.ndarray]:
    """Frames of many recordings in blocks of at least `least` frames, except the last.

    Examples
    --------
    >>> [len(block) for block in blocks_of_frames(iter([np.ones((3, 1)), np.ones((2, 1)), np.ones((1, 1))]), 4)]
    [5, 1]
    """
    waiting: list[np.ndarray] = []
    for frames in each:
        waiting.append(frames)
        if sum(map(len, waiting)) >= least:
            yield np.concatenate(waiting)
            waiting = []
    if waiting:
        yield np.concatenate(waiting)


def random_frames(each: Iterator[np.ndarray], n: int, seed: int) -> np.ndarray:
    """A random sample of at most `n` frames, each equally likely, with memory for twice as many.

    Returns
    -------
    (at most n, d)

    Raises
    ------
    InputError : no frame at all

    Examples
    --------
    >>> random_frames(iter([np.arange(4.0)[:, None]]), 9, seed=0).ravel().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    rng = np.random.default_rng(seed)
    sample, keys = None, np.empty(0)
    for frames in blocks_of_frames(each, n):
        sample = frames if sample is None else np.concatenate([sample, frames])
        keys = np.concatenate([keys, rng.random(len(frames))])
        if len(keys) > n:
            kept = np.sort(np.argpartition(keys, n)[:n])
            sample, keys = sample[kept], keys[kept]
    if sample is None:
        raise InputError("no recording has a frame of speech")
    return sample
