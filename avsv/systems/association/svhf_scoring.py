"""Scoring matching lists with a trained SVHF network, which picks one of N candidates."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from avsv.errors import InputError
from avsv.kaldi.embeddings import Embeddings
from avsv.models.checkpoint import load
from avsv.systems.association.embedding import embed_side
from avsv.systems.association.evaluation import JointSpace
from avsv.systems.association.lists import Matching, Protocols
from avsv.systems.association.networks.registry import ASSOCIATION
from avsv.systems.association.networks.svhf import OddOneOut

BLOCK = 4096  # queries at a time


class OddOneOutScores:
    """Scores candidates; the streams' outputs are computed once per recording.

    Parameters
    ----------
    voice, face : embeddings of the kind the network was trained on
    ids : people's names in published paths -> identifiers
    """

    def __init__(self, family: OddOneOut, voice: Embeddings, face: Embeddings, ids: Mapping[str, str]):
        self.family = family
        outputs = [Embeddings(side.ids, embed_side(family, side.vectors, is_voice))
                   for side, is_voice in ((voice, True), (face, False))]  # fmt: skip
        self.space = JointSpace(*outputs, ids)

    def matching_of(self, protocols: Protocols) -> Protocols:
        """Keep only the matching lists of the network's direction.

        Raises
        ------
        InputError : no such list
        """
        way = self.family.options.direction
        lists = {name: path for name, path in protocols.matching.items() if name.startswith(way)}
        if not lists:
            raise InputError(
                f"expected a matching list {way}_GROUP, the direction of the network's training, found none"
            )
        return replace(protocols, verification={}, matching=lists, retrieval=None)

    def score(self, matching: Matching, n: int, voice_is_given: bool) -> np.ndarray:
        """Score each query's first `n` candidates, (queries, n); see avsv.systems.association.evaluation."""
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
    """Load a trained network of system svhf; InputError if it belongs to another system."""
    family = load(exp_dir, ASSOCIATION)[0]
    if not isinstance(family, OddOneOut):
        raise InputError(f"{exp_dir}: expected a network of system svhf, found system {family.options.system}")
    return OddOneOutScores(family, voice, face, ids)
