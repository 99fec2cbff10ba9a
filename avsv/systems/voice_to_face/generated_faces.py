"""Generating faces from voices with a finished training of `task: voice_to_face`."""

from pathlib import Path

import numpy as np
import torch

from avsv.errors import InputError
from avsv.models.checkpoint import fill_part
from avsv.models.device import pick_device
from avsv.systems.voice_to_face.networks import Generator, VoiceEmbedder, normalise_embeddings
from avsv.systems.voice_to_face.speech_features import normalise_bands
from avsv.systems.voice_to_face.training import VoiceToFaceConfig, embedder_of, to_pixels
from avsv.training.checkpoints import load_weights, weights_file
from avsv.training.config import apply_schema, read_config


def network_files(exp_dir: Path | str) -> list[Path]:
    """The files of a training that its generated faces depend on."""
    return [weights_file(exp_dir), Path(exp_dir) / "config.yaml"]


class FaceGenerator:
    """Voice embedder and generator of an experiment.

    Parameters
    ----------
    exp_dir : folder of a finished training of task voice_to_face
    device : "cpu" or "cuda"

    Raises
    ------
    InputError : the experiment is absent, unfinished or of another task
    """

    def __init__(self, exp_dir: Path | str, device: str = "cpu"):
        weights = load_weights(exp_dir)
        path = Path(exp_dir) / "config.yaml"
        config = read_config(path, [])
        if config.get("task") != "voice_to_face":
            raise InputError(f"{exp_dir}: expected a training of task voice_to_face, found task {config.get('task')}")
        config = apply_schema(config, VoiceToFaceConfig, path)
        self.device = pick_device(device)
        self.embedder: VoiceEmbedder = embedder_of(weights).to(self.device)
        size = self.embedder.layers[-1].out_channels
        self.generator = Generator(tuple(config.channels), size, config.batch_norm)
        part = "mean.module." if config.average_decay else "generator."
        fill_part(self.generator, weights, part, weights_file(exp_dir))
        self.generator.to(self.device).eval()

    @torch.no_grad()
    def draw(self, frames: np.ndarray) -> np.ndarray:
        """Generate one face.

        Parameters
        ----------
        frames : (t, 64) log mel energies of speech from `speech_frames`

        Returns
        -------
        (64, 64, 3) uint8 RGB
        """
        mels = torch.from_numpy(normalise_bands(frames)).unsqueeze(0).to(self.device)
        return to_pixels(self.generator(normalise_embeddings(self.embedder(mels))))[0]
