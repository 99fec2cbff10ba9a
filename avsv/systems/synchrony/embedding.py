"""Networks of synchrony on disk, and what they make of a clip: a vector for every cube of mouth and sound."""

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import nn

from avsv.errors import InputError
from avsv.jobs.files import whole_file
from avsv.models.device import pick_device
from avsv.models.weights import load_trained
from avsv.systems.synchrony.coupled_cnn import CoupledCNN
from avsv.systems.synchrony.mfec import mfcc, mfec
from avsv.systems.synchrony.mouths import Mouths
from avsv.systems.synchrony.syncnet import SyncNet

NAME = "synchrony.safetensors"
NETWORKS: dict[str, type[nn.Module]] = {"coupled_cnn": CoupledCNN, "syncnet": SyncNet}
FEATURES = {"mfec": mfec, "mfcc": mfcc}
FRAMES = 480  # mouths at a time, a multiple of every network's stride: a long video fits, too


def save_network(
    exp_dir: Path | str, kind: str, net: nn.Module, size: int, width: float, threshold: float | None
) -> None:
    """Write `synchrony.safetensors`: the weights and, as metadata, what is needed to build the network again.

    Parameters
    ----------
    threshold : confidence from which a clip's mouth is taken to belong to its sound; None where none was found
    """
    state = {name: tensor.cpu().contiguous() for name, tensor in net.state_dict().items()}
    network = {"kind": kind, "size": size, "width": width, "threshold": threshold}
    with whole_file(Path(exp_dir) / NAME, "wb") as out:
        out.write(save(state, {"network": json.dumps(network)}))


def load_network(exp_dir: Path | str) -> nn.Module:
    """The network that `avsv train` wrote, of task coupled_cnn or syncnet.

    Raises
    ------
    InputError : the folder has no finished network of synchrony
    """

    def build(network: dict) -> nn.Module:
        threshold = network["threshold"]
        if threshold is not None and not (isinstance(threshold, int | float) and math.isfinite(threshold)):
            raise ValueError(f"threshold {threshold}")
        return NETWORKS[network["kind"]](network["size"], network["width"])

    net, network = load_trained(Path(exp_dir) / NAME, "coupled_cnn or syncnet", build)
    net.threshold = network["threshold"]
    return net


@dataclass(frozen=True)
class Vectors:
    """What a network makes of a clip.

    mouths : (n, d) float32, of the mouth cubes that begin every `step` seconds from time 0
    sound : (m, d) float32, of the audio cubes that begin every `sound_step` seconds from time 0
    step, sound_step : seconds; `step` is a whole number of sound steps
    first, last : of the mouth cubes, those in which the face is there
    """

    mouths: np.ndarray
    sound: np.ndarray
    step: float
    sound_step: float
    first: int
    last: int


def unit_mouths(mouths: Mouths, fps: float) -> np.ndarray:
    """Mouths at a constant rate, of mean 0 and deviation 1 over the clip: light and camera are taken off (our choice).

    Returns
    -------
    (t, 60, 100) float32

    Examples
    --------
    >>> pictures = np.random.default_rng(0).integers(0, 256, (10, 60, 100), np.uint8)
    >>> values = unit_mouths(Mouths(pictures, np.arange(10) / 25), 30)
    >>> values.shape, round(float(values.std()), 4)
    ((12, 60, 100), 1.0)
    """
    pictures = mouths.at_rate(fps).astype(np.float32)
    return (pictures - pictures.mean()) / max(float(pictures.std()), 1.0)


class SynchronyEmbedder:
    """Mouths and sound of clips -> vectors.

    Parameters
    ----------
    net : CoupledCNN or SyncNet
    """

    def __init__(self, net: nn.Module, device: torch.device):
        self.net, self.device = net.to(device).eval(), device

    @property
    def seconds(self) -> float:
        """Length of a cube."""
        return self.net.seconds

    @property
    def step(self) -> float:
        """From one mouth cube to the next."""
        return self.net.mouth_stride / self.net.fps

    def features(self, sound: np.ndarray) -> np.ndarray:
        return FEATURES[self.net.sound](sound)

    def embed(self, mouths: Mouths, sound: np.ndarray) -> Vectors:
        """Vectors of a clip.

        Parameters
        ----------
        mouths : of one face
        sound : (n,) float32 at 16 kHz, from time 0 of the same clock on

        Raises
        ------
        InputError : mouths or sound are shorter than a cube
        """
        of_mouths = self.embed_mouths(mouths)
        first = int(np.ceil(mouths.times[0] / self.step - 1e-6))
        return Vectors(of_mouths, self.embed_sound(sound), self.step, self.net.sound_step, first, len(of_mouths))

    def embed_mouths(self, mouths: Mouths) -> np.ndarray:
        net = self.net
        pictures = unit_mouths(mouths, net.fps)
        if len(pictures) < net.mouth_frames:
            raise InputError(f"the face is there for {len(pictures) / net.fps:.2f} s, less than the {net.seconds:g} s "
                            "that are compared at a time")  # fmt: skip
        pieces = []
        with torch.inference_mode():
            # pieces overlap by a cube less a frame, so that every cube is in one of them
            for begin in range(0, len(pictures) - net.mouth_frames + 1, FRAMES):
                piece = torch.from_numpy(pictures[begin : begin + FRAMES + net.mouth_frames - 1])
                pieces.append(net.embed_mouths(piece.unsqueeze(0).to(self.device), net.mouth_stride).cpu()[0])
        return torch.cat(pieces).numpy()

    def embed_sound(self, sound: np.ndarray) -> np.ndarray:
        net = self.net
        features = self.features(sound)
        if len(features) < net.sound_frames:
            raise InputError(f"the sound lasts {len(sound) / 16000:.2f} s, less than the {net.seconds:g} s that are "
                            "compared at a time")  # fmt: skip
        with torch.inference_mode():
            out = net.embed_sound(torch.from_numpy(features).unsqueeze(0).to(self.device))
        return out.cpu()[0].numpy()


def make_synchrony_embedder(exp_dir: Path | str, device: str = "cpu") -> SynchronyEmbedder:
    """An embedder with the network of a finished experiment; `device` cpu | cuda."""
    return SynchronyEmbedder(load_network(exp_dir), pick_device(device))
