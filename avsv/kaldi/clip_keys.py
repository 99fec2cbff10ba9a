"""One hash per clip of everything its result depends on: which clips of an older archive are still current.

The table `utt2input` beside the archives holds the hashes. They cover the command, its code and options, the model, and
the clip's own media. If a whole corpus has moved, its clips are recognised by their paths below its root, their sizes
and their modification times.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from avsv.jobs.fingerprints import as_json, digest_pairs
from avsv.kaldi.media_files import ClipInputs

INPUT = "utt2input"


class ClipKeys:
    """The inputs of a shard's clips.

    Parameters
    ----------
    clips : of all shards, sorted
    mine : clips of this shard
    inputs : clip -> what its result depends on
    settings : what the results of all clips depend on
    """

    def __init__(
        self, clips: Sequence[str], mine: Sequence[str], inputs: Mapping[str, Any], settings: Mapping[str, Any]
    ):
        self.mine, self.inputs, self.settings = mine, inputs, settings
        self.root = inputs.root if isinstance(inputs, ClipInputs) else ""
        self.clips = hashlib.sha256("\n".join(clips).encode()).hexdigest()[:16]

    def proof(self) -> dict[str, str]:
        """The part of a shard's proof that identifies its clips and their inputs."""
        return {"inputs": self.whole, "root": self.root, "clips": self.clips}

    @cached_property
    def whole(self) -> str:
        return self.inputs.digest if isinstance(self.inputs, ClipInputs) else digest_pairs(self.mine, self.inputs)

    def fit(self, proof: Mapping[str, Any]) -> bool:
        """Whether a shard with this proof was made from these inputs, or from the same corpus in another place."""
        if proof.get("clips") != self.clips:
            return False
        if proof.get("inputs") == self.whole:
            return True
        moved = self.moved_to(proof)
        return moved is not None and proof.get("inputs") == digest_pairs(self.mine, moved)

    def moved_to(self, proof: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The inputs with the root of the older run; None if the root is the same."""
        root = proof.get("root")
        if not isinstance(root, str) or root == self.root or not isinstance(self.inputs, ClipInputs):
            return None
        return self.inputs.moved_to(root)

    @cached_property
    def wanted(self) -> dict[str, str]:
        """Clip -> hash, as in utt2input."""
        return self.hashes(self.inputs)

    def hashes(self, inputs: Mapping[str, Any]) -> dict[str, str]:
        """Clip -> `digest` of [settings, inputs]."""
        begin = hashlib.sha256(f"[{as_json(self.settings)}, ".encode())
        found = {}
        for key in self.mine:
            total = begin.copy()
            total.update(f"{as_json(inputs[key])}]".encode())
            found[key] = total.hexdigest()[:16]
        return found

    def current(self, before: Mapping[str, str], proof: Mapping[str, Any]) -> set[str]:
        """The clips of an older utt2input that need not be redone."""
        same = {key for key, value in self.wanted.items() if before.get(key) == value}
        if not same and (moved := self.moved_to(proof)) is not None:
            same = {key for key, value in self.hashes(moved).items() if before.get(key) == value}
        return same


def describe_changes(clips: Sequence[str], before: Mapping[str, str], current: set[str], skipped: set[str]) -> str:
    """A sentence on the clips that have to be redone.

    Parameters
    ----------
    clips : all clips of the shard
    before : utt2input of the older archive
    current : the clips that are kept
    skipped : the clips that failed before

    Examples
    --------
    >>> describe_changes(["a", "b", "c", "d"], {"a": "1", "b": "2", "e": "5"}, {"a"}, {"d"})
    '1 of 4 clips changed, 1 new, 1 skipped before; 1 no longer in the list'
    """
    n_changed = sum(key in before and key not in current for key in clips)
    n_again = sum(key in skipped for key in clips)
    n_new = len(clips) - len(current) - n_changed - n_again
    n_gone = len(before.keys() - set(clips))
    parts = [f"{n_changed} of {len(clips)} clips changed"]
    parts += [f"{n} {what}" for n, what in ((n_new, "new"), (n_again, "skipped before")) if n]
    return ", ".join(parts) + (f"; {n_gone} no longer in the list" if n_gone else "")
