"""Load synchrony networks, and embed and score clips: one vector for every cube of mouth images and of audio."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from avsv.errors import InputError
from avsv.features.fbank import RATE
from avsv.jobs.progress import progress
from avsv.kaldi.shard_writer import ShardWriter
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import read_waveform
from avsv.models.checkpoint import NetworkFile, load
from avsv.models.device import pick_device
from avsv.systems.synchrony.audio_features import mfcc, mfec
from avsv.systems.synchrony.coupled_cnn import CoupledCNN
from avsv.systems.synchrony.mouths import Mouths, read_mouths
from avsv.systems.synchrony.network import SynchronyNetwork
from avsv.systems.synchrony.offsets import LARGEST, ClipVectors, distance_matrix, find_offset
from avsv.systems.synchrony.syncnet import SyncNet

NETWORKS: dict[str, type[SynchronyNetwork]] = {"coupled_cnn": CoupledCNN, "syncnet": SyncNet}
FEATURES = {"mfec": mfec, "mfcc": mfcc}
FRAMES = 480  # mouth images per batch, a multiple of every network's stride; bounds the memory for a long video


def build_network(description: dict) -> SynchronyNetwork:
    """Build a synchrony network with an attribute `threshold`.

    The threshold is the least confidence at which a clip's mouth is accepted as matching its audio; None for a network
    trained without held-out people.
    """
    threshold = description["threshold"]
    if threshold is not None and not (isinstance(threshold, int | float) and math.isfinite(threshold)):
        raise ValueError(f"threshold {threshold}")
    net = NETWORKS[description["kind"]](description["size"], description["width"])
    net.threshold = threshold
    return net


SYNCHRONY = NetworkFile("synchrony.safetensors", "coupled_cnn or syncnet", build_network)


def unit_mouths(mouths: Mouths, fps: float) -> np.ndarray:
    """Mouth images at a constant rate, normalised to mean 0 and standard deviation 1 over the clip.

    The normalisation removes differences of light and camera (our choice).

    Returns
    -------
    (t, 60, 100) float32

    Examples
    --------
    >>> images = np.random.default_rng(0).integers(0, 256, (10, 60, 100), np.uint8)
    >>> values = unit_mouths(Mouths(images, np.arange(10) / 25), 30)
    >>> values.shape, round(float(values.std()), 4)
    ((12, 60, 100), 1.0)
    """
    images = mouths.at_rate(fps).astype(np.float32)
    return (images - images.mean()) / max(float(images.std()), 1.0)


class SynchronyEmbedder:
    """Embeds the mouth images and the audio of clips.

    Parameters
    ----------
    net : CoupledCNN or SyncNet
    """

    def __init__(self, net: SynchronyNetwork, device: torch.device):
        self.net, self.device = net.to(device).eval(), device

    @property
    def seconds(self) -> float:
        """Duration of a cube."""
        return self.net.seconds

    @property
    def step(self) -> float:
        """Seconds from one mouth cube to the next."""
        return self.net.mouth_stride / self.net.fps

    def features(self, waveform: np.ndarray) -> np.ndarray:
        return FEATURES[self.net.audio_features](waveform)

    def embed(self, mouths: Mouths, waveform: np.ndarray) -> ClipVectors:
        """Vectors of a clip.

        Parameters
        ----------
        mouths : mouth images of one face
        waveform : (n,) float32 waveform at 16 kHz that starts at time 0 of the same clock

        Raises
        ------
        InputError : the mouth track or the audio is shorter than a cube
        """
        of_mouths = self.embed_mouths(mouths)
        first = int(np.ceil(mouths.times[0] / self.step - 1e-6))
        return ClipVectors(of_mouths, self.embed_audio(waveform), self.step, self.net.audio_step, first, len(of_mouths))

    def embed_mouths(self, mouths: Mouths) -> np.ndarray:
        net = self.net
        images = unit_mouths(mouths, net.fps)
        if len(images) < net.mouth_frames:
            seconds = len(images) / net.fps
            raise InputError(f"the face is visible for {seconds:.2f} s, expected at least {net.seconds:g} s")
        pieces = []
        with torch.inference_mode():
            # consecutive pieces overlap by a cube minus one frame, so every cube lies within one piece
            for begin in range(0, len(images) - net.mouth_frames + 1, FRAMES):
                piece = torch.from_numpy(images[begin : begin + FRAMES + net.mouth_frames - 1])
                pieces.append(net.embed_mouths(piece.unsqueeze(0).to(self.device), net.mouth_stride).cpu()[0])
        return torch.cat(pieces).numpy()

    def embed_audio(self, waveform: np.ndarray) -> np.ndarray:
        net = self.net
        features = self.features(waveform)
        if len(features) < net.audio_frames:
            raise InputError(f"the audio lasts {len(waveform) / RATE:.2f} s, expected at least {net.seconds:g} s")
        with torch.inference_mode():
            out = net.embed_audio(torch.from_numpy(features).unsqueeze(0).to(self.device))
        return out.cpu()[0].numpy()


def make_synchrony_embedder(exp_dir: Path | str, device: str = "cpu") -> SynchronyEmbedder:
    """Make an embedder from a finished experiment; `device` is cpu or cuda."""
    return SynchronyEmbedder(load(exp_dir, SYNCHRONY)[0], pick_device(device))


def score_clips(embedder: SynchronyEmbedder, clips: Mapping[str, Sequence[str]], threshold: float, out: ShardWriter,
                largest: float = LARGEST, audio_track: int | None = None,
                allow_pipes: bool = False) -> None:  # fmt: skip
    """Write the distances of clips and the tables utt2offset, utt2distance, utt2confidence and utt2speaking.

    Parameters
    ----------
    clips : utterance -> its entries in mouths.scp and in wav.scp
    threshold : least confidence of a speaker
    largest : largest offset to search, seconds
    """
    for utt, (entry, wav) in progress(clips.items(), "score synchrony"):
        try:
            waveform = guarded(read_waveform, wav, RATE, allow_pipes, audio_track)
            vectors = embedder.embed(read_mouths(entry), waveform)
            if not (np.isfinite(vectors.mouths).all() and np.isfinite(vectors.audio).all()):
                raise InputError("the network's vectors are NaN or infinite")
            offsets, matrix = distance_matrix(vectors, largest)
            synchrony = find_offset(offsets, matrix)
        except InputError as error:
            out.skip(utt, str(error))
            continue
        out.write("distances", utt, np.vstack([offsets, matrix]), gaps=True)
        out.note("utt2offset", utt, synchrony.offset)
        out.note("utt2distance", utt, synchrony.distance)
        out.note("utt2confidence", utt, synchrony.confidence)
        out.note("utt2speaking", utt, "yes" if synchrony.confidence >= threshold else "no")
