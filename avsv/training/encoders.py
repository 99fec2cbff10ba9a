"""Encoders for further training: read from the folders of earlier trainings, and written in the same format."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from avsv.errors import InputError
from avsv.importers.model_files import require_model_file
from avsv.jobs.files import copy_file, whole_file
from avsv.jobs.fingerprints import file_digest
from avsv.models.checkpoint import fill_part, write_torch
from avsv.models.face_encoders import make_face_encoder, save_onnx
from avsv.models.front_ends import FBANK_80
from avsv.models.hyperparams import RATE
from avsv.models.speaker_encoders import encoder_arguments, front_end_of, make_speaker_encoder
from avsv.models.speechbrain_folder import (
    encoder_files,
    encoder_folder,
    load_encoder,
    portable_settings,
    save_speechbrain_folder,
)
from avsv.models.speechbrain_library import make_frontend
from avsv.training.checkpoints import load_weights, weights_file
from avsv.training.config import apply_schema, read_config
from avsv.training.tasks.face import FaceConfig
from avsv.training.tasks.voice import VoiceConfig


@dataclass(frozen=True)
class Encoder:
    """A network to train.

    net : audio features or face images -> embeddings
    size : size of the embedding
    source : the folder it was read from, or the configuration of a new encoder
    digest : hash of its weights, or of the configuration
    """

    net: nn.Module
    size: int
    source: Path
    digest: str


def is_new(source: str | Path) -> bool:
    """Whether the source is a configuration: an encoder with random weights, for trials and dry runs."""
    return Path(source).suffix in (".yaml", ".yml")


def read_voice_encoder(source: str) -> Encoder:
    """Read a speaker encoder.

    Parameters
    ----------
    source : the name of a published SpeechBrain model, a folder in its format such as a finished training of task
        voice, or a configuration of task voice
    """
    if is_new(source):
        config = apply_schema(read_config(source, []), VoiceConfig, source)
        if front_end_of(config.encoder, config.features) != FBANK_80:
            raise InputError(f"voice: {source}: encoder {config.encoder} expects other features than training "
                            "computes; choose an encoder of 80 mean-normalised log mel energies")  # fmt: skip
        net = make_speaker_encoder(config.encoder, encoder_arguments(config))
        return Encoder(net, config.embedding_size, Path(source), file_digest(source))
    encoder = load_encoder(source, "cpu")
    refuse_other_features(encoder, source)
    with torch.no_grad():
        size = encoder.encode_batch(torch.zeros(1, RATE)).shape[-1]
    net = encoder.mods["embedding_model"].requires_grad_(True)
    return Encoder(net, size, encoder_folder(source), file_digest(encoder_files(source)[1]))


def refuse_other_features(encoder: nn.Module, source: str) -> None:
    """Raise InputError if the encoder expects features that differ from those computed in training."""
    waveform, lengths = torch.randn(1, RATE, generator=torch.Generator().manual_seed(0)), torch.ones(1)
    fbank, normalize = make_frontend()
    expected = normalize(fbank(waveform), lengths)
    found = encoder.mods["mean_var_norm"](encoder.mods["compute_features"](waveform), lengths)
    if expected.shape != found.shape or not torch.allclose(expected, found, atol=1e-3):
        raise InputError(f"voice: {source}: expects other features ({found.shape[-1]} per frame) than training "
                        "computes; choose an encoder of 80 mean-normalised log mel energies")  # fmt: skip


def read_face_encoder(source: str) -> Encoder:
    """Read a face encoder.

    Parameters
    ----------
    source : the folder of a finished training of task face, or a configuration of task face

    Raises
    ------
    InputError : an ONNX pack, which cannot be trained; another task; an unfinished training
    """
    path = Path(source)
    given = path if is_new(source) else path / "config.yaml"
    if not given.exists():
        if list(path.glob("*.onnx")) or path.name == source:
            raise InputError(
                f"face: {source}: is an ONNX pack, or the name of one. It embeds faces, but cannot be trained; train a "
                "face network (avsv train conf/face.yaml) and give its exp_dir"
            )
        raise InputError(f"face: {given}: no such file; is {source} a finished training of task face?")
    config = read_config(given, [])
    if config.get("task") != "face":
        raise InputError(f"face: {given}: expected task face, found {config.get('task')}")
    config = apply_schema(config, FaceConfig, given)
    net = make_face_encoder(config)
    if is_new(source):
        return Encoder(net, config.embedding_size, path, file_digest(path))
    fill_part(net, load_weights(path), "net.", weights_file(path))
    return Encoder(net, config.embedding_size, path, file_digest(weights_file(path)))


def save_voice_encoder(net: nn.Module, source: Path, folder: Path) -> None:
    """Write a SpeechBrain folder with the trained weights; its classifier is copied from the source, untrained."""
    if is_new(source):
        config = apply_schema(read_config(source, []), VoiceConfig, source)
        nobody = torch.zeros(1, config.embedding_size)
        save_speechbrain_folder(folder, net, nobody, ["nobody"], encoder_arguments(config), config.encoder,
                                config.features)  # fmt: skip
        return
    text, files = portable_settings(source)
    weights = encoder_files(str(source))[1]
    for name, file in files.items():
        if file != weights and file.exists():
            copy_file(require_model_file(file), folder / f"{name}.ckpt")
    with whole_file(folder / "hyperparams.yaml") as out:
        out.write(text)
    write_torch(encoder_files(str(folder))[1], net.state_dict())


def save_face_encoder(net: nn.Module, source: Path, folder: Path) -> None:
    """Write a face pack with the trained network, and with the detector of `source` if it has one."""
    folder.mkdir(parents=True, exist_ok=True)
    save_onnx(net.eval(), folder / "recognition.onnx")
    if (source / "detector.onnx").exists():
        copy_file(source / "detector.onnx", folder / "detector.onnx")
