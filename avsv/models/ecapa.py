"""SpeechBrain's ECAPA-TDNN: importing the library, building the network, the folder its EncoderClassifier loads.

A folder may hold our ResNet34 (resnet.py) as well: SpeechBrain builds whatever its hyperparams.yaml names.
"""

import contextlib
import importlib
import logging
import os
import re
import sys
import types
from pathlib import Path

import torch
from torch import nn

from avsv.errors import InputError
from avsv.importers.model_files import require_model_file
from avsv.jobs.files import replaced_together, whole_file
from avsv.jobs.home import home_folder
from avsv.models.checkpoint import fill, matching, read_state, without_memory, write_torch
from avsv.models.hyperparams import ACTIVATION, FBANK, NORMALIZATION, RATE, read_recipe
from avsv.torchaudio_library import make_optional


def import_speechbrain() -> None:
    """Import speechbrain, quietly, also where torchaudio's compiled library does not fit this torch."""
    make_optional()
    # it tells of its quirks, and of every file that it opens, each through loggers of its own
    os.environ.setdefault("SB_LOG_LEVEL", "WARNING")
    logging.getLogger("speechbrain").setLevel(logging.WARNING)
    import speechbrain  # noqa: F401

    # Its stand-ins for renamed and optional modules import on any look at them, and fail where a package is absent;
    # tools that walk sys.modules (inspect, hypothesis) die of that. They are found again by an import where needed.
    for name, module in list(sys.modules.items()):
        if name.startswith("speechbrain") and type(module) is not types.ModuleType:
            del sys.modules[name]


def make_ecapa(
    n_mels: int = 80, channels: int = 1024, attention_channels: int = 128, embedding_size: int = 192
) -> nn.Module:
    """ECAPA-TDNN with the published layers: five blocks, the last three times as wide (Desplanques et al., 2020).

    Returns
    -------
    module : (batch, t, n_mels) and relative lengths -> (batch, 1, embedding_size)
    """
    import_speechbrain()
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    return ECAPA_TDNN(**ecapa_options(n_mels, channels, attention_channels, embedding_size))


def ecapa_options(n_mels: int, channels: int, attention_channels: int, embedding_size: int) -> dict:
    return {
        "input_size": n_mels,
        "channels": [channels] * 4 + [3 * channels],
        "kernel_sizes": [5, 3, 3, 3, 1],
        "dilations": [1, 2, 3, 4, 1],
        "attention_channels": attention_channels,
        "lin_neurons": embedding_size,
    }


NETWORKS = {"ecapa": "speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN", "resnet": "avsv.models.resnet.SpeakerResNet"}
HYPERPARAMS = """\
# A speaker encoder trained by avsv, in the form that SpeechBrain's EncoderClassifier.from_hparams loads.
pretrained_path: {path}
sample_rate: 16000
n_mels: {options[input_size]}
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: !new:{network}
{arguments}
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: {options[lin_neurons]}
    out_neurons: {n_classes}
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
        classifier: !ref <classifier>
        label_encoder: !ref <label_encoder>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


def make_speaker_encoder(kind: str, options: dict) -> nn.Module:
    """A speaker encoder by its name.

    Parameters
    ----------
    kind : "ecapa" or "resnet"
    options : what `ecapa_options` gives, or the arguments of `SpeakerResNet`

    Returns
    -------
    module : (batch, t, n_mels) and relative lengths -> (batch, 1, embedding size)

    Raises
    ------
    InputError : another kind
    """
    if kind not in NETWORKS:
        raise InputError(f"encoder={kind}: expected one of {', '.join(NETWORKS)}")
    import_speechbrain()
    module, _, name = NETWORKS[kind].rpartition(".")
    return getattr(importlib.import_module(module), name)(**options)


def make_frontend() -> tuple[nn.Module, nn.Module]:
    """SpeechBrain's filter banks and mean normalisation, as its published speaker encoders have them.

    Returns
    -------
    (batch, n) sound at 16 kHz -> (batch, t, 80); and the normalisation of these, given relative lengths
    """
    import_speechbrain()
    from speechbrain.lobes.features import Fbank
    from speechbrain.processing.features import InputNormalization

    return Fbank(n_mels=80), InputNormalization(norm_type="sentence", std_norm=False)


def save_speechbrain_folder(
    folder: Path,
    encoder: nn.Module,
    class_weight: torch.Tensor,
    people: list[str],
    options: dict,
    kind: str = "ecapa",
) -> None:
    """Write a trained encoder as a folder that `EncoderClassifier.from_hparams(source=folder)` loads.

    Parameters
    ----------
    class_weight : (n_classes, embedding size), the centres of the margin loss
    people : names of the classes
    options, kind : what `make_speaker_encoder` was given
    """
    with replaced_together(folder / "hyperparams.yaml"):
        for name, state in (("embedding_model", encoder.state_dict()), ("classifier", {"weight": class_weight})):
            write_torch(folder / f"{name}.ckpt", state)
        with whole_file(folder / "label_encoder.txt") as out:
            out.writelines(f"'{name}' => {index}\n" for index, name in enumerate(people))
            out.write("================\n'starting_index' => 0\n")
        arguments = "\n".join(f"    {name}: {value}" for name, value in options.items())
        text = HYPERPARAMS.format(
            path=folder.absolute(), n_classes=len(people), network=NETWORKS[kind], arguments=arguments, options=options
        )
        with whole_file(folder / "hyperparams.yaml") as out:
            out.write(text)


class SpeakerEncoder(nn.Module):
    """Features, normalisation and network of a speaker encoder, with the names of SpeechBrain's EncoderClassifier.

    Parameters
    ----------
    features : (batch, n) waveform at 16 kHz -> (batch, t, mel bands)
    normalization : of these, given relative lengths
    network : of these and relative lengths -> (batch, 1, d) or (batch, d)
    """

    def __init__(self, features: nn.Module, normalization: nn.Module, network: nn.Module):
        super().__init__()
        self.mods = nn.ModuleDict(
            {"compute_features": features, "mean_var_norm": normalization, "embedding_model": network}
        )

    def encode_batch(self, sound: torch.Tensor) -> torch.Tensor:
        """(batch, n) waveforms at 16 kHz, none of them padded -> (batch, 1, d)."""
        device = next(self.mods["embedding_model"].parameters()).device
        sound = sound.to(device).float()
        lengths = torch.ones(len(sound), device=device)
        features = self.mods["mean_var_norm"](self.mods["compute_features"](sound), lengths)
        found = self.mods["embedding_model"](features, lengths)
        return found.unsqueeze(1) if found.ndim == 2 else found


def encoder_folder(source: str) -> Path:
    """Where the files of an encoder are: the folder itself, or the cache of a published model."""
    return Path(source) if Path(source).is_dir() else home_folder() / ".cache" / "avsv" / source.replace("/", "--")


def encoder_files(source: str) -> list[Path]:
    """The files that `load_encoder` reads of a model that it recognises, hyperparams.yaml and the weights.

    Raises
    ------
    InputError : what `read_recipe` raises; the folder has no hyperparams.yaml
    """
    settings = settings_of(encoder_folder(source))
    return [settings, settings.parent / read_recipe(settings).weights]


def settings_of(folder: Path) -> Path:
    settings = folder / "hyperparams.yaml"
    if not settings.exists():
        raise InputError(f"{folder}: has no hyperparams.yaml, so it is no SpeechBrain speaker encoder (training "
                        "not finished?)")  # fmt: skip
    return require_model_file(settings)


def load_encoder(source: str, device: str, trust: bool = False) -> nn.Module:
    """A speaker encoder from a folder, or by the name of a published model (fetched once, then cached).

    The encoders that SpeechBrain publishes and those that avsv trains are built here from the numbers in
    hyperparams.yaml; nothing that a folder names is run. SpeechBrain computes a published x-vector with noise of about
    1e-5 on its statistics; here that noise is replaced by its mean, so that an embedding can be computed again.

    Parameters
    ----------
    source : a folder, "organisation/model", or "organisation/model@revision" of huggingface.co
    trust : let SpeechBrain do what hyperparams.yaml says where it is another encoder; that may run any program

    Returns
    -------
    SpeakerEncoder, or SpeechBrain's EncoderClassifier of a trusted folder: `mods` and `encode_batch`

    Raises
    ------
    InputError : the folder is no such model, its weights do not fit, or the published one cannot be fetched
    """
    import_speechbrain()
    folder = Path(source).absolute() if Path(source).is_dir() else fetch_encoder(source, trust)
    settings = settings_of(folder)
    try:
        recipe = read_recipe(settings)
    except InputError:
        if trust:
            return load_trusted(settings, device)
        raise
    weights = folder / recipe.weights
    if not weights.exists():
        raise InputError(f"{weights}: there is no such file; {settings} says that the weights are there")
    features, normalization = part(FBANK, recipe.features), part(NORMALIZATION, recipe.normalization)
    try:
        shapes = without_memory(lambda: part(recipe.network, recipe.options))
        state = matching(shapes, read_state(weights), weights)
        network = part(recipe.network, recipe.options)
        network.load_state_dict({**network.state_dict(), **state})
        encoder = SpeakerEncoder(features, normalization, without_noise(network)).eval().requires_grad_(False)
        size = encoder.encode_batch(torch.zeros(1, RATE)).shape
    except (ValueError, TypeError, RuntimeError, AssertionError, IndexError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{folder}: cannot be loaded as a SpeechBrain speaker encoder: {reason}") from None
    if len(size) != 3 or size[:2] != (1, 1):
        raise InputError(f"{folder}: the network gives {tuple(size)} for one waveform, expected (1, 1, d)")
    return encoder.to(device)


def part(name: str, options: dict) -> nn.Module:
    """An object of a class that `read_recipe` knows by name."""
    module, _, of = name.rpartition(".")
    return getattr(importlib.import_module(module), of)(**{key: made(value) for key, value in options.items()})


def made(value: object) -> object:
    """An activation function for its tag; anything else as it is."""
    found = ACTIVATION.fullmatch(value) if isinstance(value, str) else None
    return getattr(nn, found[1]) if found else value


def without_noise(network: nn.Module) -> nn.Module:
    """The network itself, its statistics pooling without the random numbers that SpeechBrain adds to the mean."""
    for module in network.modules():
        if type(module).__name__ == "StatisticsPooling":
            middle = 5 * module.eps  # of noise between eps and 9 eps
            module._get_gauss_noise = lambda size, device="cpu", middle=middle: torch.full(size, middle, device=device)
    return network


def load_trusted(settings: Path, device: str) -> nn.Module:
    """SpeechBrain's EncoderClassifier of a folder whose program the user wants to run."""
    from speechbrain.inference.speaker import EncoderClassifier
    from speechbrain.utils.fetching import LocalStrategy

    folder = settings.parent
    for file in folder.glob("*.ckpt"):
        require_model_file(file)
    named = re.search(r"(?m)^pretrained_path:", settings.read_text(encoding="utf-8", errors="replace"))
    overrides = {"pretrained_path": str(folder)} if named else {}
    try:
        encoder = EncoderClassifier.from_hparams(
            source=str(folder), savedir=str(folder), overrides=overrides, run_opts={"device": device},
            local_strategy=LocalStrategy.NO_LINK,
        )  # fmt: skip
        if getattr(encoder.hparams, "sample_rate", RATE) != RATE:
            raise ValueError(f"it is for sound at {encoder.hparams.sample_rate} Hz, avsv gives it {RATE} Hz")
        if (folder / "embedding_model.ckpt").exists():  # SpeechBrain lets parameters be absent
            fill(encoder.mods["embedding_model"], read_state(folder / "embedding_model.ckpt"), folder)
    except InputError:
        raise
    except Exception as error:  # torch's, HyperPyYAML's, SpeechBrain's, and those of the program in the folder
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{folder}: cannot be loaded as a SpeechBrain speaker encoder: {reason}") from None
    return encoder


def fetch_encoder(source: str, trust: bool) -> Path:
    """The folder of a published model; its files are fetched where they are not there yet.

    Raises
    ------
    InputError : no such model, no network, or an encoder that is not recognised and not trusted
    """
    from speechbrain.inference.speaker import EncoderClassifier
    from speechbrain.utils.fetching import FetchConfig, fetch

    if source.startswith((".", "/", "exp/")) or source.count("/") != 1:
        raise InputError(f"{source}: there is no such folder")
    folder, (name, _, revision) = encoder_folder(source), source.partition("@")
    options = {"savedir": str(folder), "fetch_config": FetchConfig(revision=revision or None)}
    try:
        settings = Path(fetch("hyperparams.yaml", name, **options))
        try:
            recipe = read_recipe(settings)
        except InputError:
            if not trust:
                raise
            EncoderClassifier.from_hparams(source=name, download_only=True, **options)
            return folder
        fetch(recipe.weights, name, **options)
        for other in recipe.others:  # a training of avn_j copies them
            with contextlib.suppress(OSError, ValueError):
                fetch(other, name, **options)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{source}: cannot be fetched ({' '.join(str(error).split())[:200]}). "
                        "Copy the model's folder here and name that folder instead") from None  # fmt: skip
    return folder
