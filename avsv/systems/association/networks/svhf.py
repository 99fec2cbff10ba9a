"""SVHF, "Seeing voices and hearing faces" (Nagrani, Albanie, Zisserman, CVPR 2018): picks one of N candidates.

One stream for the query, one with shared weights for the candidates, and fully connected layers after concatenation. To
support any N without favouring a position, each candidate is scored by layers whose input is the query, the candidate
and the mean of all candidates ("query pooling"; the authors' exact form is not published, this one is ours). SVHF
classifies one of N and does not embed; verification and retrieval do not apply, as in the published tables.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from avsv.errors import InputError
from avsv.systems.association.networks.family import Family, Pairs, accuracy, branch

DIRECTIONS = ("v2f", "f2v")


class OddOneOut(Family):
    """Scores of N candidates of one modality for a query of the other."""

    def __init__(self, sizes, n_classes, options):
        super().__init__(sizes, n_classes, options)
        if options.direction not in DIRECTIONS:
            raise InputError(f"direction={options.direction}: expected {' | '.join(DIRECTIONS)}")
        if options.candidates < 2:
            raise InputError(f"candidates={options.candidates}: expected an integer >= 2")
        self.voice_given = options.direction == "v2f"
        hidden = options.hidden or options.size
        self.streams = nn.ModuleList(branch(n, hidden, options.size, options.dropout) for n in sizes)
        self.judge = nn.Sequential(nn.Linear(3 * options.size, hidden), nn.ReLU(), nn.Dropout(options.dropout),
                                   nn.Linear(hidden, 1))  # fmt: skip

    def voice(self, x: Tensor) -> Tensor:
        """Output of the voice stream, (batch, size): an input of `choose`, not an embedding."""
        return self.streams[0](self.prepare(x, True))

    def face(self, x: Tensor) -> Tensor:
        """Output of the face stream, (batch, size)."""
        return self.streams[1](self.prepare(x, False))

    def choose(self, query: Tensor, candidates: Tensor) -> Tensor:
        """Score candidates from the streams' outputs, (batch, size) and (batch, N, size) -> (batch, N)."""
        n = candidates.shape[1]
        pooled = candidates.mean(1, keepdim=True).expand(-1, n, -1)
        seen = torch.cat([query[:, None].expand(-1, n, -1), candidates, pooled], 2)
        return self.judge(seen).squeeze(2)

    def loss(self, pairs: Pairs, done: float) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy of the true candidate among N; the others are drawn from the batch's other people."""
        voice, face = self.voice(pairs.voice), self.face(pairs.face)
        query, others = (voice, face) if self.voice_given else (face, voice)
        rows = choose_strangers(pairs.labels, self.options.candidates - 1)
        own = torch.arange(len(rows), device=rows.device)[:, None]
        scores = self.choose(query, others[torch.cat([own, rows], 1)])
        truth = torch.zeros(len(scores), dtype=torch.int64, device=scores.device)
        return F.cross_entropy(scores, truth), {"accuracy": accuracy(scores, truth)}


def choose_strangers(labels: Tensor, n: int) -> Tensor:
    """Draw for each row n rows of other people, (batch, n); InputError if a batch has too few people.

    Examples
    --------
    >>> choose_strangers(torch.tensor([0, 0, 1]), 1)[:2].tolist()
    [[2], [2]]
    """
    other = labels[:, None] != labels[None]
    if int(other.sum(1).min()) < n:
        raise InputError(f"expected batches with at least {n} clips of other people; raise batch_size, or lower "
                        "clips_per_person")  # fmt: skip
    return torch.rand(other.shape, device=labels.device).masked_fill(~other, -1.0).topk(n, 1).indices
