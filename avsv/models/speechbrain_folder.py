"""Reading, fetching and writing speaker encoders in SpeechBrain's folder format, loaded by its EncoderClassifier.

A folder may also have an encoder of this package, such as `SpeakerResNet`: SpeechBrain builds the class that
hyperparams.yaml names.
"""

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from avsv.errors import InputError
from avsv.importers.model_files import require_model_file
from avsv.jobs.files import replaced_together, whole_file
from avsv.jobs.home import home_folder
from avsv.jobs.yaml_files import read_yaml_text
from avsv.kaldi.origin import onnx_voice, python_class
from avsv.models.checkpoint import fill, matching, read_state, without_memory, write_torch
from avsv.models.hyperparams import PRETRAINER, RATE, Hyperparams, read_recipe
from avsv.models.speaker_encoders import SPEAKER_ENCODERS, build, front_end_of
from avsv.models.speechbrain_library import import_speechbrain

HYPERPARAMS = """\
# A speaker encoder trained by avsv, in the form that SpeechBrain's EncoderClassifier.from_hparams loads.
sample_rate: 16000
compute_features: !new:{features}
{feature_options}
mean_var_norm: !new:{normalization}
{normalization_options}
embedding_model: !new:{network}
{arguments}
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: {embedding_size}
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
"""


def save_speechbrain_folder(
    folder: Path,
    encoder: nn.Module,
    class_weight: torch.Tensor,
    speakers: list[str],
    arguments: dict,
    encoder_name: str = "ecapa",
    features: str = "speechbrain",
) -> None:
    """Write a trained encoder as a folder that `EncoderClassifier.from_hparams(source=folder)` loads.

    The folder names no path, so it may be moved or uploaded: SpeechBrain looks for NAME.ckpt beside hyperparams.yaml.

    Parameters
    ----------
    class_weight : (n_classes, embedding size), class centres of the margin loss; zeros for other losses
    speakers : names of the classes
    arguments, encoder_name : the arguments of `make_speaker_encoder`
    features : see `front_end_of`
    """
    with replaced_together(folder / "hyperparams.yaml"):
        for name, state in (("embedding_model", encoder.state_dict()), ("classifier", {"weight": class_weight})):
            write_torch(folder / f"{name}.ckpt", state)
        with whole_file(folder / "label_encoder.ckpt") as out:
            out.writelines(f"'{name}' => {index}\n" for index, name in enumerate(speakers))
            out.write("================\n'starting_index' => 0\n")
        kind, front = SPEAKER_ENCODERS[encoder_name], front_end_of(encoder_name, features)
        text = HYPERPARAMS.format(
            features=front.features, feature_options=indented(front.feature_options),
            normalization=front.normalization, normalization_options=indented(front.normalization_options),
            network=kind.network, arguments=indented(arguments),
            embedding_size=class_weight.shape[1], n_classes=len(speakers),
        )  # fmt: skip
        with whole_file(folder / "hyperparams.yaml") as out:
            out.write(text)


def indented(arguments: Mapping[str, Any]) -> str:
    """Arguments of a class in hyperparams.yaml; a class without arguments takes an empty mapping.

    Examples
    --------
    >>> indented({"n_mels": 80, "name": "a: b"}), indented({})
    ('    n_mels: 80\\n    name: "a: b"', '    {}')
    """
    texts = {name: json.dumps(value) if isinstance(value, str) and value[:1] != "!" else value
             for name, value in arguments.items()}  # fmt: skip
    return "\n".join(f"    {name}: {value}" for name, value in texts.items()) or "    {}"


def portable_settings(folder: Path) -> tuple[str, dict[str, Path]]:
    """The hyperparams.yaml of a folder without the paths of its weights, and the files it loads, by SpeechBrain's name.

    With each file copied to NAME.ckpt beside the new text, `EncoderClassifier.from_hparams` loads the copy wherever it
    lies. The original may name another folder, or a repository of the hub.

    Raises
    ------
    InputError : raised by `read_recipe`
    """
    settings = folder / "hyperparams.yaml"
    tree, text, spans = Hyperparams(settings), read_yaml_text(settings), []
    files = {"embedding_model": folder / read_recipe(settings).weights}
    for node in (each for each in tree.keys.values() if each.tag == PRETRAINER):
        loadables, named = tree.loadables(node)
        files |= {name: folder / named.get(name, f"{name}.ckpt") for name in loadables}
        spans += [(key.start_mark.index - key.start_mark.column, value.end_mark.index)
                  for key, value in node.value if key.value == "paths"]  # fmt: skip
    for begin, end in reversed(spans):
        text = text[:begin] + text[end:].lstrip("\n")
    if "<pretrained_path>" not in text:
        text = re.sub(r"(?m)^pretrained_path:.*\n", "", text)
    cached = {name: file.with_name(f"{name}.ckpt") for name, file in files.items()}  # SpeechBrain's name in its cache
    return text, {name: file if file.exists() else cached[name] for name, file in files.items()}


class SpeakerEncoder(nn.Module):
    """Features, normalisation and network of a speaker encoder; names follow SpeechBrain's EncoderClassifier.

    Parameters
    ----------
    features : (batch, n) waveform at 16 kHz -> (batch, t, mel bands)
    normalization : features, relative lengths -> normalised features
    network : normalised features, relative lengths -> (batch, 1, d) or (batch, d)
    """

    def __init__(self, features: nn.Module, normalization: nn.Module, network: nn.Module):
        super().__init__()
        self.mods = nn.ModuleDict(
            {"compute_features": features, "mean_var_norm": normalization, "embedding_model": network}
        )

    def encode_batch(self, waveforms: torch.Tensor) -> torch.Tensor:
        """(batch, n) waveforms at 16 kHz, without padding -> (batch, 1, d)."""
        device = next(self.mods["embedding_model"].parameters()).device
        waveforms = waveforms.to(device).float()
        lengths = torch.ones(len(waveforms), device=device)
        features = self.mods["mean_var_norm"](self.mods["compute_features"](waveforms), lengths)
        embeddings = self.mods["embedding_model"](features, lengths)
        return embeddings.unsqueeze(1) if embeddings.ndim == 2 else embeddings


def encoder_folder(source: str) -> Path:
    """The folder with the files of an encoder: `source` itself, or the cache of a published model."""
    return Path(source) if Path(source).is_dir() else home_folder() / ".cache" / "avsv" / source.replace("/", "--")


def encoder_files(source: str) -> list[Path]:
    """The files that `load_encoder` reads for a recognised model: hyperparams.yaml and the weights.

    Raises
    ------
    InputError : raised by `read_recipe`, or the folder has no hyperparams.yaml
    """
    settings = settings_of(encoder_folder(source))
    return [settings, settings.parent / read_recipe(settings).weights]


def settings_of(folder: Path) -> Path:
    settings = folder / "hyperparams.yaml"
    if not settings.exists():
        raise InputError(f"{folder}: has no hyperparams.yaml; expected a SpeechBrain speaker encoder (training not "
                         "finished?)")  # fmt: skip
    return require_model_file(settings)


def load_encoder(source: str, device: str, trust: bool = False) -> nn.Module:
    """Load a speaker encoder from a folder, or by the name of a published model (fetched once, then cached).

    Encoders that SpeechBrain publishes or avsv trains are built here from the numbers in hyperparams.yaml; no code that
    a folder names is run. SpeechBrain adds noise of about 1e-5 to the statistics of its x-vector; here the mean of that
    noise is added instead, which makes embeddings reproducible.

    Parameters
    ----------
    source : a folder, "organisation/model", or "organisation/model@revision" of the Hugging Face Hub
    trust : let SpeechBrain execute the hyperparams.yaml of any other encoder, which may run any program

    Returns
    -------
    SpeakerEncoder, or SpeechBrain's EncoderClassifier for a trusted folder; both have `mods` and `encode_batch`

    Raises
    ------
    InputError : the folder holds no such model, its weights do not fit, or the published model cannot be fetched
    """
    if python_class(source):
        raise InputError(f"{source}: is an encoder of your own, which avsv can only embed with; expected one in "
                        "SpeechBrain's form")  # fmt: skip
    if onnx_voice(source):
        raise InputError(f"{source}: is an encoder in an ONNX file, which avsv can only embed with; expected one in "
                        "SpeechBrain's form")  # fmt: skip
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
        raise InputError(f"{weights}: no such file, but {settings} names it as the file of the weights")
    features = build(recipe.features_class, recipe.features)
    normalization = build(recipe.normalization_class, recipe.normalization)
    try:
        shapes = without_memory(lambda: build(recipe.network, recipe.options))
        state = matching(shapes, read_state(weights), weights)
        network = build(recipe.network, recipe.options)
        network.load_state_dict({**network.state_dict(), **state})
        encoder = SpeakerEncoder(features, normalization, without_noise(network)).eval().requires_grad_(False)
        size = encoder.encode_batch(torch.zeros(1, RATE)).shape
    except (ValueError, TypeError, RuntimeError, AssertionError, IndexError, ZeroDivisionError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise InputError(f"{folder}: cannot be loaded as a SpeechBrain speaker encoder: {reason}") from None
    if len(size) != 3 or size[:2] != (1, 1):
        raise InputError(f"{folder}: expected an output of shape (1, 1, d) for one waveform, found {tuple(size)}")
    return encoder.to(device)


def without_noise(network: nn.Module) -> nn.Module:
    """Replace the noise that SpeechBrain's statistics pooling adds to the mean by a constant; returns the network."""
    for module in network.modules():
        if type(module).__name__ == "StatisticsPooling":
            middle = 5 * module.eps  # of SpeechBrain's noise, between eps and 9 eps
            module._get_gauss_noise = lambda size, device="cpu", middle=middle: torch.full(size, middle, device=device)
    return network


def load_trusted(settings: Path, device: str) -> nn.Module:
    """SpeechBrain's EncoderClassifier for a folder that the user trusts to run code."""
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
            raise ValueError(f"it expects {encoder.hparams.sample_rate} Hz audio; avsv supports {RATE} Hz only")
        if (folder / "embedding_model.ckpt").exists():  # SpeechBrain accepts missing parameters
            fill(encoder.mods["embedding_model"], read_state(folder / "embedding_model.ckpt"), folder)
    except InputError:
        raise
    except Exception as error:  # from torch, HyperPyYAML, SpeechBrain or the folder's own code
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{folder}: cannot be loaded as a SpeechBrain speaker encoder: {reason}") from None
    return encoder


def fetch_encoder(source: str, trust: bool) -> Path:
    """The folder of a published model; files that are not cached yet are fetched.

    Raises
    ------
    InputError : no such model, no network connection, or an encoder that is neither recognised nor trusted
    """
    from speechbrain.inference.speaker import EncoderClassifier
    from speechbrain.utils.fetching import FetchConfig, fetch

    if source.startswith((".", "/", "exp/")) or source.count("/") != 1:
        raise InputError(f"{source}: no such folder")
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
        for other in recipe.others:  # training avn_j copies them
            with contextlib.suppress(OSError, ValueError):
                fetch(other, name, **options)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        raise InputError(f"{source}: cannot be fetched ({' '.join(str(error).split())[:200]}). "
                        "Copy the model's folder to this machine and give its path instead") from None  # fmt: skip
    return folder
