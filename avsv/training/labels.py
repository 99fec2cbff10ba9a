"""The labelled clips of a data directory, for training a speaker classifier."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from avsv.errors import InputError
from avsv.jobs.fingerprints import digest
from avsv.kaldi.data_dir import DataDir, refuse_unlabelled
from avsv.kaldi.segments import Source


@dataclass(frozen=True)
class LabelledClips:
    """Clips in the order of their names.

    utts : names ; entries : path or archive entry of each
    labels : (n,) int64, speaker of each as an index into `people`
    people : names of the speakers, sorted
    """

    utts: list[str]
    entries: list[Source]
    labels: np.ndarray
    people: list[str]

    def digest(self) -> str:
        """A hash of the names, speakers and entries of all clips."""
        speakers = [self.people[label] for label in self.labels]
        return digest([list(row) for row in zip(self.utts, speakers, self.entries, strict=True)])


def label_clips(data: DataDir, entries: Mapping[str, Source], kind: str) -> LabelledClips:
    """Number the speakers of clips.

    Parameters
    ----------
    entries : utterance -> path or archive entry
    kind : of media, for the message: "audio" or "faces"

    Raises
    ------
    InputError : fewer than two speakers, or a clip of an unknown one
    """
    utts = sorted(entries)
    refuse_unlabelled(data.path / "utt2spk", utts)
    people = sorted({data.utt2spk[utt] for utt in utts})
    if len(people) < 2:
        raise InputError(f"{data.path}: has {kind} of {len(people)} people; training needs at least 2")
    numbers = {spk: number for number, spk in enumerate(people)}
    labels = np.array([numbers[data.utt2spk[utt]] for utt in utts])
    return LabelledClips(utts, [entries[utt] for utt in utts], labels, people)


def aligned_faces(data: DataDir) -> dict[str, str]:
    """The entries of faces.scp; InputError if the table is absent or empty."""
    entries = {utt: entry for utt, entry in data.table("faces.scp").items() if utt in data.utt2spk}
    if not entries:
        raise InputError(f"{data.path}/faces.scp: is absent or empty; make it with avsv align-faces")
    return entries
