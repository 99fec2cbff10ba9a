"""Which one of N candidates it is, by a trained SVHF network: scores of matching lists."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from avsv.errors import InputError
from avsv.kaldi.embeddings import Embeddings
from avsv.systems.association.embedding import embed_side, load_family
from avsv.systems.association.evaluation import JointSpace
from avsv.systems.association.lists import Matching, Protocols
from avsv.systems.association.networks.svhf import OddOneOut

BLOCK = 4096  # queries at a time


class OddOneOutScores:
    """Scores of candidates; the streams' outputs are computed once a recording.

    Parameters
    ----------
    voice, face : the embeddings that the network takes
    ids : names of people in published paths -> identifiers
    """

    def __init__(self, family: OddOneOut, voice: Embeddings, face: Embeddings, ids: Mapping[str, str]):
        self.family = family
        outputs = [Embeddings(side.ids, embed_side(family, side.vectors, is_voice))
                   for side, is_voice in ((voice, True), (face, False))]  # fmt: skip
        self.space = JointSpace(*outputs, ids)

    def matching_of(self, protocols: Protocols) -> Protocols:
        """The matching lists of the network's direction, which are all that it can do.

        Raises
        ------
        InputError : there are none
        """
        way = self.family.options.direction
        lists = {name: path for name, path in protocols.matching.items() if name.startswith(way)}
        if not lists:
            raise InputError(f"there is no matching list {way}_GROUP, the direction that the network was trained for")
        return replace(protocols, verification={}, matching=lists, retrieval=None)

    def score(self, matching: Matching, n: int, voice_is_given: bool) -> np.ndarray:
        """Scores of each query's first `n` candidates, (queries, n); see avsv.systems.association.evaluation."""
        lists = Path("matching list")
        sides = [torch.from_numpy(side.vectors) for side in (self.space.voice, self.space.face)]
        asked, offered = sides if voice_is_given else reversed(sides)
        query = self.space.rows(matching.query_ids, voice_is_given, lists)[matching.queries]
        others = self.space.rows(matching.candidate_ids, not voice_is_given, lists)[matching.candidates[:, :n]]
        with torch.inference_mode():
            parts = [self.family.choose(asked[query[i : i + BLOCK]], offered[others[i : i + BLOCK]])
                     for i in range(0, len(query), BLOCK)]  # fmt: skip
        return torch.cat(parts).float().numpy()


def load_odd_one_out(exp_dir: Path, voice: Embeddings, face: Embeddings, ids: Mapping[str, str]) -> OddOneOutScores:
    """A trained network of system svhf; InputError where it is another."""
    family = load_family(exp_dir)
    if not isinstance(family, OddOneOut):
        raise InputError(f"{exp_dir}: is of system {family.options.system}, expected svhf; leave out --odd-one-out")
    return OddOneOutScores(family, voice, face, ids)
