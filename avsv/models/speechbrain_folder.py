"""Speaker encoders in folders of SpeechBrain's form, which its EncoderClassifier loads: reading, fetching, writing.

A folder may hold an encoder of this package too, such as `SpeakerResNet`: SpeechBrain builds whatever its
hyperparams.yaml names.
"""

import contextlib
import re
from pathlib import Path

import torch
from torch import nn

from avsv.errors import InputError
from avsv.importers.model_files import require_model_file
from avsv.jobs.files import replaced_together, whole_file
from avsv.jobs.home import home_folder
from avsv.models.checkpoint import fill, matching, read_state, without_memory, write_torch
from avsv.models.hyperparams import FBANK, NORMALIZATION, RATE, read_recipe
from avsv.models.speaker_encoders import N_MELS, SPEAKER_ENCODERS, build
from avsv.models.speechbrain_library import import_speechbrain

HYPERPARAMS = """\
# A speaker encoder trained by avsv, in the form that SpeechBrain's EncoderClassifier.from_hparams loads.
pretrained_path: {path}
sample_rate: 16000
n_mels: {n_mels}
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
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
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
        classifier: !ref <pretrained_path>/classifier.ckpt
        label_encoder: !ref <pretrained_path>/label_encoder.txt
"""


def save_speechbrain_folder(
    folder: Path,
    encoder: nn.Module,
    class_weight: torch.Tensor,
    people: list[str],
    arguments: dict,
    encoder_name: str = "ecapa",
) -> None:
    """Write a trained encoder as a folder that `EncoderClassifier.from_hparams(source=folder)` loads.

    Parameters
    ----------
    class_weight : (n_classes, embedding size), the centres of the margin loss
    people : names of the classes
    arguments, encoder_name : what `make_speaker_encoder` was given
    """
    with replaced_together(folder / "hyperparams.yaml"):
        for name, state in (("embedding_model", encoder.state_dict()), ("classifier", {"weight": class_weight})):
            write_torch(folder / f"{name}.ckpt", state)
        with whole_file(folder / "label_encoder.txt") as out:
            out.writelines(f"'{name}' => {index}\n" for index, name in enumerate(people))
            out.write("================\n'starting_index' => 0\n")
        lines = "\n".join(f"    {name}: {value}" for name, value in arguments.items())
        text = HYPERPARAMS.format(
            path=folder.absolute(), n_mels=N_MELS, network=SPEAKER_ENCODERS[encoder_name].network, arguments=lines,
            embedding_size=class_weight.shape[1], n_classes=len(people),
        )  # fmt: skip
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
        raise InputError(f"{weights}: no such file; {settings} says that the weights are there")
    features, normalization = build(FBANK, recipe.features), build(NORMALIZATION, recipe.normalization)
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
        raise InputError(f"{folder}: the network gives {tuple(size)} for one waveform, expected (1, 1, d)")
    return encoder.to(device)


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
