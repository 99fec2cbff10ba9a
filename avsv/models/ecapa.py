"""SpeechBrain's ECAPA-TDNN: importing the library, building the network, the folder its EncoderClassifier loads.

A folder may hold our ResNet34 (resnet.py) as well: SpeechBrain builds whatever its hyperparams.yaml names.
"""

import importlib
import logging
import os
import sys
import types
from pathlib import Path

import torch
from torch import nn

from avsv.errors import UserError
from avsv.files import whole_file
from avsv.models.hyperparams import refuse_code
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
    UserError : another kind
    """
    if kind not in NETWORKS:
        raise UserError(f"encoder={kind}: expected one of {', '.join(NETWORKS)}")
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
    for name, state in (("embedding_model", encoder.state_dict()), ("classifier", {"weight": class_weight})):
        with whole_file(folder / f"{name}.ckpt", "wb") as out:
            torch.save(state, out)
    with whole_file(folder / "label_encoder.txt") as out:
        out.writelines(f"'{name}' => {index}\n" for index, name in enumerate(people))
        out.write("================\n'starting_index' => 0\n")
    arguments = "\n".join(f"    {name}: {value}" for name, value in options.items())
    text = HYPERPARAMS.format(
        path=folder.absolute(), n_classes=len(people), network=NETWORKS[kind], arguments=arguments, options=options
    )
    with whole_file(folder / "hyperparams.yaml") as out:
        out.write(text)


def encoder_folder(source: str) -> Path:
    """Where the files of an encoder are: the folder itself, or the cache of a published model."""
    return Path(source) if Path(source).is_dir() else Path.home() / ".cache" / "avsv" / source.replace("/", "--")


def load_encoder(source: str, device: str) -> nn.Module:
    """SpeechBrain's EncoderClassifier from a folder, or by the name of a published model (fetched once, then cached).

    Raises
    ------
    UserError : the folder is no such model, or the published one cannot be fetched
    """
    import_speechbrain()
    from speechbrain.inference.speaker import EncoderClassifier
    from speechbrain.utils.fetching import LocalStrategy, fetch

    if Path(source).is_dir():
        folder = Path(source).absolute()
        if not (folder / "hyperparams.yaml").exists():
            raise UserError(f"{folder}: has no hyperparams.yaml, so it is no SpeechBrain speaker encoder (training "
                            "not finished?)")  # fmt: skip
        refuse_code(folder / "hyperparams.yaml")
        try:
            return EncoderClassifier.from_hparams(
                source=str(folder), savedir=str(folder), overrides={"pretrained_path": str(folder)},
                run_opts={"device": device}, local_strategy=LocalStrategy.NO_LINK,
            )  # fmt: skip
        except Exception as error:  # torch's, pickle's, HyperPyYAML's and SpeechBrain's own
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
            raise UserError(f"{folder}: cannot be loaded as a SpeechBrain speaker encoder: {reason}") from None
    if source.startswith((".", "/", "exp/")) or source.count("/") != 1:
        raise UserError(f"{source}: there is no such folder")
    try:
        refuse_code(Path(fetch("hyperparams.yaml", source, savedir=str(encoder_folder(source)))))
        return EncoderClassifier.from_hparams(
            source=source, savedir=str(encoder_folder(source)), run_opts={"device": device}
        )
    except (OSError, ValueError) as error:
        raise UserError(f"{source}: cannot be fetched ({' '.join(str(error).split())[:200]}). "
                        "Copy the model's folder here and name that folder instead") from None  # fmt: skip
