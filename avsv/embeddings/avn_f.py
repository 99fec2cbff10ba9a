"""Clip embeddings by AVN-F, from the waveform and the faces jointly."""

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
from avsv.models.avn_f import AVN_F, AVNFWithFrontend
from avsv.models.checkpoint import load
from avsv.models.device import pick_device

log = logging.getLogger("avsv")
BATCH = 16  # pairs of waveform and face at a time
WEIGHTS, MODALITY = "utt2voice_weight", "utt2modality"
TABLES = (WEIGHTS, MODALITY)
WaveformReader = Callable[[str], np.ndarray]  # utterance -> waveform; raises InputError if there is none


def windows(waveform: np.ndarray, n_samples: int) -> np.ndarray:
    """Cut a waveform into evenly spaced windows that cover it, (k, n_samples); a shorter waveform is repeated.

    Examples
    --------
    >>> windows(np.arange(7), 3)
    array([[0, 1, 2],
           [2, 3, 4],
           [4, 5, 6]])
    """
    if len(waveform) <= n_samples:
        return np.resize(waveform, (1, n_samples))
    n_pieces = -(-len(waveform) // n_samples)
    begins = np.linspace(0, len(waveform) - n_samples, n_pieces).round().astype(int)
    return np.stack([waveform[begin : begin + n_samples] for begin in begins])


class AVNFEmbedder:
    """Embeds whole clips, with all of their audio and faces, as one vector each.

    In training the network sees windows of one length, each with one face. A clip is therefore cut into such windows,
    which are paired with its faces: the longer list sets the number of pairs, and the shorter one is cycled. The clip's
    embedding is the mean of the pairs' embeddings, each scaled to length 1 (our choice).

    Parameters
    ----------
    net : AVN-F
    crop_seconds : length of a window
    """

    def __init__(self, net: nn.Module, crop_seconds: float, device: torch.device):
        self.net, self.device = net.to(device).eval(), device
        self.n_samples = round(crop_seconds * RATE)

    def embed(self, waveform: np.ndarray | None, faces: np.ndarray | None) -> tuple[np.ndarray, float]:
        """Embed one clip.

        Parameters
        ----------
        waveform : (n,) float32 at 16 kHz, or None if the clip has no voice
        faces : (k, 112, 112, 3) uint8 BGR, or None if the clip has no face

        Returns
        -------
        (size,) float32 ; the mean weight of the voice
        """
        pieces = np.zeros((1, self.n_samples), np.float32) if waveform is None else windows(waveform, self.n_samples)
        images = np.zeros((1, SIDE, SIDE, 3), np.uint8) if faces is None else faces
        n_pairs = max(len(pieces), len(images))
        turn = np.arange(n_pairs)
        pieces = torch.from_numpy(pieces[turn % len(pieces)])
        rgb = np.ascontiguousarray(images[turn % len(images)][..., ::-1].transpose(0, 3, 1, 2))
        present = torch.tensor([[waveform is not None, faces is not None]]).expand(n_pairs, 2)
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
    """Make an embedder from the AVN-F of a finished experiment; `device` is "cpu" or "cuda"."""
    net, description = load(exp_dir, AVN_F)
    return AVNFEmbedder(AVNFWithFrontend(net), description["crop_seconds"], pick_device(device))


def embed_clips(
    embedder: AVNFEmbedder,
    utts: Iterable[str],
    readers: tuple[WaveformReader, FaceReader],
    present: Mapping[str, tuple[bool, bool]],
    out: ShardWriter,
) -> None:
    """Embed clips into the archive "embedding"; a clip with neither a voice nor a face is skipped.

    The table utt2modality lists the modalities used for each clip (both | voice | face), and utt2voice_weight the
    weight of its voice.

    Parameters
    ----------
    readers : of waveforms and of faces
    present : utterance -> whether it should have a voice, a face; if one cannot be read, a warning is logged, and the
        clip is embedded from the other
    """
    for utt in progress(utts, "embed clips"):
        contents, reasons = [], []
        for wanted, read in zip(present[utt], readers, strict=True):
            try:
                contents.append(read(utt) if wanted else None)
            except InputError as error:
                contents.append(None)
                reasons.append(str(error))
        waveform, faces = contents
        if waveform is None and faces is None:
            out.skip(utt, "; ".join(reasons))
            continue
        for reason in reasons:
            log.warning("%s: embedded by its %s alone: %s", utt, "face" if waveform is None else "voice", reason)
        vector, weight = embedder.embed(waveform, None if faces is None else faces.images)
        out.write("embedding", utt, vector)
        out.note(WEIGHTS, utt, weight)
        out.note(MODALITY, utt, "face" if waveform is None else "voice" if faces is None else "both")
