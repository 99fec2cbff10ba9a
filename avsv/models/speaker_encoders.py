"""The speaker encoders: networks from filter banks to an embedding, by their names in training configurations.

To add one, write a class with the four members of `SpeakerNetwork` (it may be the network itself, like
`SpeakerResNet`) and add a line to `SPEAKER_ENCODERS`. That line enables `encoder: NAME` in a training configuration,
the hyperparams.yaml that the training writes, and the limits within which `load_encoder` rebuilds the network from a
model folder. Sizes come from `SpeakerEncoderOptions`; if the encoder needs another option, add a field there.
"""

import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from torch import nn

from avsv.errors import InputError
from avsv.models.deep_speaker import DeepSpeakerGru, DeepSpeakerResCnn
from avsv.models.front_ends import BY_NAME, FBANK_24, FBANK_80, FrontEnd
from avsv.models.limits import Check, boolean, few, natural, naturals, number, numbers_of_blocks
from avsv.models.ranges import choice, within
from avsv.models.resnet import SpeakerResNet
from avsv.models.self_supervised import HEADS, SelfSupervisedEncoder
from avsv.models.simam import SimAmResNet
from avsv.models.speechbrain_library import import_speechbrain
from avsv.models.vggm import VoxCelebCnn

ACTIVATION = re.compile(r"!name:torch\.nn\.(ReLU|LeakyReLU|ELU|GELU|SiLU|Tanh|Hardswish)")


class SpeakerNetwork(Protocol):
    """A speaker encoder: takes (batch, t, bands) and relative lengths, returns (batch, 1, size).

    network : name of the class in hyperparams.yaml
    front_end : features that the network expects
    limits : argument of the class -> check of its value in a model folder
    """

    network: ClassVar[str]
    front_end: ClassVar[FrontEnd]
    limits: ClassVar[Mapping[str, Check]]

    @staticmethod
    def arguments(options: "SpeakerEncoderOptions") -> dict[str, Any]:
        """Arguments of the class for a training's options."""


def activation(value: Any) -> bool:
    return isinstance(value, str) and bool(ACTIVATION.fullmatch(value))


class Ecapa:
    """SpeechBrain's ECAPA-TDNN: five blocks, the last three times as wide (Desplanques et al., 2020)."""

    network = "speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN"
    front_end: ClassVar[FrontEnd] = FBANK_80
    limits: ClassVar[Mapping[str, Check]] = {
        "input_size": natural, "lin_neurons": natural, "activation": activation, "channels": naturals,
        "kernel_sizes": naturals, "dilations": naturals, "attention_channels": natural, "res2net_scale": few,
        "se_channels": natural, "global_context": boolean, "groups": naturals, "dropout": number}  # fmt: skip

    @staticmethod
    def arguments(options: "SpeakerEncoderOptions") -> dict[str, Any]:
        return ecapa_arguments(80, options.channels, options.attention_channels, options.embedding_size)


def ecapa_arguments(n_mels: int, channels: int, attention_channels: int, embedding_size: int) -> dict[str, Any]:
    return {
        "input_size": n_mels,
        "channels": [channels] * 4 + [3 * channels],
        "kernel_sizes": [5, 3, 3, 3, 1],
        "dilations": [1, 2, 3, 4, 1],
        "attention_channels": attention_channels,
        "lin_neurons": embedding_size,
    }


class XVector:
    """SpeechBrain's x-vector TDNN on 24 filter banks (Snyder et al., ICASSP 2018; layers as in SpeechBrain's recipe).

    The fifth layer has 1500 / 512 times the channels of the others, before statistics pooling and one Linear layer,
    whose output is the x-vector.
    """

    network = "speechbrain.lobes.models.Xvector.Xvector"
    front_end: ClassVar[FrontEnd] = FBANK_24
    limits: ClassVar[Mapping[str, Check]] = {
        "in_channels": natural, "activation": activation, "tdnn_blocks": few, "tdnn_channels": naturals,
        "tdnn_kernel_sizes": naturals, "tdnn_dilations": naturals, "lin_neurons": natural}  # fmt: skip

    @staticmethod
    def arguments(options: "SpeakerEncoderOptions") -> dict[str, Any]:
        n = options.channels
        return {"in_channels": 24, "tdnn_channels": [n] * 4 + [round(n * 1500 / 512)],
                "tdnn_kernel_sizes": [5, 3, 3, 1, 1], "tdnn_dilations": [1, 2, 3, 1, 1],
                "lin_neurons": options.embedding_size}  # fmt: skip


class SpeechBrainResNet:
    """SpeechBrain's own ResNet; published models can be loaded, but not trained."""

    network = "speechbrain.lobes.models.ResNet.ResNet"
    limits: ClassVar[Mapping[str, Check]] = {
        "input_size": natural, "activation": activation, "channels": naturals, "block_sizes": numbers_of_blocks,
        "strides": naturals, "lin_neurons": natural}  # fmt: skip


SPEAKER_ENCODERS: dict[str, type[SpeakerNetwork]] = {
    "ecapa": Ecapa,
    "resnet": SpeakerResNet,
    "simam": SimAmResNet,
    "xvector": XVector,
    "vggm": VoxCelebCnn,
    "rescnn": DeepSpeakerResCnn,
    "gru": DeepSpeakerGru,
    "ssl": SelfSupervisedEncoder,
}
LOADED_ONLY = (SpeechBrainResNet,)


@dataclass
class SpeakerEncoderOptions:
    """The sizes of a speaker encoder in a training configuration."""

    encoder: str = choice("ecapa", *SPEAKER_ENCODERS)
    # ecapa, resnet and simam only; kaldi: the filter banks that sherpa-onnx computes, to export the encoder for it
    features: str = choice("speechbrain", *BY_NAME)
    # published: ecapa 1024, xvector 512, of the first layer or stage: resnet 32, simam 64, vggm 96, rescnn and gru 64
    # ssl: of ecapa's first four blocks, or of mfa's Linear for each layer
    channels: int = within(1024, 1, 16384)
    attention_channels: int = within(128, 1, 16384)  # ecapa and ssl only
    blocks: tuple[int, ...] = within((3, 4, 6, 3), 1, 200)  # resnet and simam only: in each stage
    gru_units: int = within(1024, 1, 16384)  # gru only: in each of its three layers
    dropout: float = within(0.0, 0, below=1)  # rescnn and gru only: before the affine layer
    fc8: bool = False  # vggm only: the embedding is a Linear layer after fc7, for the second phase of its training
    ssl: str = ""  # ssl only: the self-supervised model to start from, a folder or a name on the Hugging Face Hub
    ssl_head: str = choice("ecapa", *HEADS)  # ssl only: ecapa | mfa
    embedding_size: int = within(192, 1, 16384)


def encoder_arguments(options: SpeakerEncoderOptions) -> dict[str, Any]:
    """Arguments of the network that the options select.

    Examples
    --------
    >>> encoder_arguments(SpeakerEncoderOptions("resnet", channels=32))["channels"]
    32
    """
    return SPEAKER_ENCODERS[options.encoder].arguments(options)


def make_speaker_encoder(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """A speaker encoder with random weights.

    Parameters
    ----------
    name : a key of `SPEAKER_ENCODERS`
    arguments : of its class, as returned by `encoder_arguments`

    Returns
    -------
    module : (batch, t, bands) and relative lengths -> (batch, 1, embedding size)

    Raises
    ------
    InputError : an unknown name
    """
    if name not in SPEAKER_ENCODERS:
        raise InputError(f"encoder={name}: expected one of {', '.join(SPEAKER_ENCODERS)}")
    return build(SPEAKER_ENCODERS[name].network, arguments)


def front_end_of(name: str, features: str = "speechbrain") -> FrontEnd:
    """The front end of an encoder.

    Parameters
    ----------
    name : a key of `SPEAKER_ENCODERS`
    features : a key of `BY_NAME`; for encoders of 80 filter banks

    Raises
    ------
    InputError : other features for an encoder that needs its own

    Examples
    --------
    >>> front_end_of("ecapa", "kaldi").features
    'avsv.models.front_ends.KaldiFbank'
    """
    own = SPEAKER_ENCODERS[name].front_end
    if features == "speechbrain":
        return own
    if own != FBANK_80:
        raise InputError(f"features={features}: encoder {name} has features of its own; leave the key out")
    return BY_NAME[features]


def make_front_end(name: str, features: str = "speechbrain") -> tuple[nn.Module, nn.Module]:
    """The features that an encoder expects, and their normalisation.

    Parameters
    ----------
    name, features : as for `front_end_of`

    Returns
    -------
    (batch, n) waveforms at 16 kHz -> (batch, t, bands); features and relative lengths -> normalised features
    """
    of = front_end_of(name, features)
    return build(of.features, of.feature_options), build(of.normalization, of.normalization_options)


def build(network: str, arguments: Mapping[str, Any]) -> nn.Module:
    """An instance of the class with this dotted name; tags of activations are replaced by their classes."""
    import_speechbrain()
    module, _, name = network.rpartition(".")
    values = {key: activation_of(value) for key, value in arguments.items()}
    return getattr(importlib.import_module(module), name)(**values)


def activation_of(value: Any) -> Any:
    """The activation of a tag in hyperparams.yaml; other values are returned unchanged."""
    return getattr(nn, ACTIVATION.fullmatch(value)[1]) if activation(value) else value
