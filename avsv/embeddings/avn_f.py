"""Embeddings of clips from sound and faces at once, by AVN-F, and the folder that holds the network."""

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from avsv.embeddings.face import FaceReader
from avsv.embeddings.voice import RATE
from avsv.errors import InputError
from avsv.features.faces import SIDE
from avsv.jobs.progress import progress
from avsv.kaldi.shard_writer import ShardWriter
from avsv.models.avn_f import AVN_F, FromSound
from avsv.models.checkpoint import load
from avsv.models.device import pick_device

log = logging.getLogger("avsv")
BATCH = 16  # pairs of sound and face at a time
WEIGHTS, MODALITY = "utt2voice_weight", "utt2modality"
TABLES = (WEIGHTS, MODALITY)
SoundReader = Callable[[str], np.ndarray]  # utterance -> its sound; InputError where there is none


def windows(sound: np.ndarray, n_samples: int) -> np.ndarray:
    """A sound in evenly spaced pieces of one length that leave nothing out, (k, n_samples); a shorter one is repeated.

    Examples
    --------
    >>> windows(np.arange(7), 3)
    array([[0, 1, 2],
           [2, 3, 4],
           [4, 5, 6]])
    """
    if len(sound) <= n_samples:
        return np.resize(sound, (1, n_samples))
    n_pieces = -(-len(sound) // n_samples)
    begins = np.linspace(0, len(sound) - n_samples, n_pieces).round().astype(int)
    return np.stack([sound[begin : begin + n_samples] for begin in begins])


class AVNFEmbedder:
    """Whole sound and all faces of a clip -> one vector.

    The network saw pieces of sound of one length, each with one face. So a clip's sound is cut to such pieces; pieces
    and faces make pairs, of which there are as many as of what there is more of, and the mean of the pairs' embeddings
    at length 1 is the clip's (our choice).

    Parameters
    ----------
    net : AVN-F
    crop_seconds : length of a piece
    """

    def __init__(self, net: nn.Module, crop_seconds: float, device: torch.device):
        self.net, self.device = net.to(device).eval(), device
        self.n_samples = round(crop_seconds * RATE)

    def embed(self, sound: np.ndarray | None, faces: np.ndarray | None) -> tuple[np.ndarray, float]:
        """One clip.

        Parameters
        ----------
        sound : (n,) float32 at 16 kHz ; faces : (k, 112, 112, 3) uint8 BGR; None for the one that is missing

        Returns
        -------
        (size,) float32 ; the mean weight of the voice
        """
        pieces = np.zeros((1, self.n_samples), np.float32) if sound is None else windows(sound, self.n_samples)
        pictures = np.zeros((1, SIDE, SIDE, 3), np.uint8) if faces is None else faces
        n_pairs = max(len(pieces), len(pictures))
        turn = np.arange(n_pairs)
        pieces = torch.from_numpy(pieces[turn % len(pieces)])
        rgb = np.ascontiguousarray(pictures[turn % len(pictures)][..., ::-1].transpose(0, 3, 1, 2))
        present = torch.tensor([[sound is not None, faces is not None]]).expand(n_pairs, 2)
        total, weight = torch.zeros(()), 0.0
        for begin in range(0, n_pairs, BATCH):
            rows = slice(begin, begin + BATCH)
            out, weights = self.forward(pieces[rows], torch.from_numpy(rgb[rows]), present[rows])
            total, weight = total + out.sum(0), weight + weights[:, 0].sum().item()
        return (total / n_pairs).numpy(), weight / n_pairs

    def forward(self, *batch: Tensor) -> tuple[Tensor, Tensor]:
        with torch.inference_mode():
            out, weights = self.net(*(part.to(self.device) for part in batch))
        return torch.nn.functional.normalize(out.float()).cpu(), weights.float().cpu()


def make_avn_f_embedder(exp_dir: Path | str, device: str = "cpu") -> AVNFEmbedder:
    """An embedder with the AVN-F of a finished experiment; `device` cpu | cuda."""
    net, description = load(exp_dir, AVN_F)
    return AVNFEmbedder(FromSound(net), description["crop_seconds"], pick_device(device))


def embed_clips(
    embedder: AVNFEmbedder,
    utts: Iterable[str],
    readers: tuple[SoundReader, FaceReader],
    there: Mapping[str, tuple[bool, bool]],
    out: ShardWriter,
) -> None:
    """Embed clips into archive "embedding"; one that has neither sound nor face is skipped.

    What was used of a clip goes to the table utt2modality (both | voice | face), the weight of the voice to
    utt2voice_weight.

    Parameters
    ----------
    there : utterance -> should it have a sound, a face; what then cannot be read is said, and the other one used
    """
    for utt in progress(utts, "embed clips"):
        found, reasons = [], []
        for wanted, read in zip(there[utt], readers, strict=True):
            try:
                found.append(read(utt) if wanted else None)
            except InputError as error:
                found.append(None)
                reasons.append(str(error))
        sound, faces = found
        if sound is None and faces is None:
            out.skip(utt, "; ".join(reasons))
            continue
        for reason in reasons:
            log.warning("%s: embedded by its %s alone: %s", utt, "face" if sound is None else "voice", reason)
        vector, weight = embedder.embed(sound, None if faces is None else faces.images)
        out.write("embedding", utt, vector)
        out.note(WEIGHTS, utt, weight)
        out.note(MODALITY, utt, "face" if sound is None else "voice" if faces is None else "both")
