"""Speaker encoders on self-supervised speech models: WavLM, XLS-R (wav2vec 2.0), HuBERT and w2v-BERT 2.

SpeechBrain's Hugging Face integration computes the hidden states of all layers from the waveform. Trained weights, a
softmax over layers as in SUPERB (Yang et al., Interspeech 2021), say how much each layer counts. Two heads:

    ecapa    the weighted sum of the layers through SpeechBrain's ECAPA-TDNN, as in WavLM (Chen et al., JSTSP 2022)
    mfa      each layer through its own Linear (our choice), times its weight; all concatenated, LayerNorm, attentive
             statistics pooling, batch norm, Linear: the aggregation of MFA-Conformer (Zhang et al., Interspeech 2022)

The encoder is built from its configuration, never by code that a model brings, and its weights come from safetensors.
Needs the package transformers.
"""

import importlib
import importlib.util
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from avsv.errors import InputError
from avsv.models.front_ends import WAVEFORM, FrontEnd
from avsv.models.limits import Check, natural, one_of
from avsv.models.speechbrain_library import import_speechbrain

# model_type in config.json -> class of SpeechBrain's integration
INTEGRATIONS = {"wavlm": "wavlm.WavLM", "wav2vec2": "wav2vec2.Wav2Vec2", "hubert": "hubert.HuBERT",
                "wav2vec2-bert": "w2v_bert.W2VBert"}  # fmt: skip
PREPROCESSORS = ("Wav2Vec2FeatureExtractor", "SeamlessM4TFeatureExtractor")
LEAST = 8000  # samples; shorter waveforms are repeated (our choice): the heads need several frames
LONGEST_TEXT = 20_000  # characters of a configuration
MOST_LAYERS, LARGEST = 100, 1 << 20


def configuration(text: Any) -> bool:
    """Whether a text is the configuration of a model of a known type and size, as JSON, without code of its own."""
    found = parsed(text)
    layers = found.get("num_hidden_layers", 12)
    return found.get("model_type") in INTEGRATIONS and type(layers) is int and 1 <= layers <= MOST_LAYERS


def preprocessor(text: Any) -> bool:
    """Whether a text is the configuration of a known feature extractor, as JSON, without code of its own."""
    return parsed(text).get("feature_extractor_type") in PREPROCESSORS


def parsed(text: Any) -> dict:
    """A JSON object of plain values, none of them huge and none naming code; {} for anything else."""
    try:
        found = json.loads(text) if isinstance(text, str) and len(text) <= LONGEST_TEXT else {}
    except (ValueError, RecursionError):
        found = {}
    return found if isinstance(found, dict) and "auto_map" not in found and all(map(moderate, found.values())) else {}


def moderate(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 64 and all(map(moderate, value))
    if isinstance(value, int | float):
        return abs(value) <= LARGEST
    return value is None or (isinstance(value, str) and len(value) <= 200)


class Ecapa(nn.Module):
    """The weighted sum of the layers through SpeechBrain's ECAPA-TDNN."""

    def __init__(self, n_layers: int, n_in: int, channels: int, attention_channels: int, size: int):
        super().__init__()
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

        self.network = ECAPA_TDNN(
            n_in, channels=[channels] * 4 + [3 * channels], kernel_sizes=[5, 3, 3, 3, 1], dilations=[1, 2, 3, 4, 1],
            attention_channels=attention_channels, lin_neurons=size,
        )  # fmt: skip

    def forward(self, layers: Tensor, weights: Tensor) -> Tensor:
        """(layers, batch, t, n_in) hidden states, (layers,) weights -> (batch, 1, size)."""
        return self.network(torch.einsum("lbtn,l->btn", layers, weights))


class Mfa(nn.Module):
    """Multi-layer feature aggregation: the layers side by side."""

    def __init__(self, n_layers: int, n_in: int, channels: int, attention_channels: int, size: int):
        super().__init__()
        from speechbrain.lobes.models.ECAPA_TDNN import AttentiveStatisticsPooling

        self.adapters = nn.ModuleList([nn.Linear(n_in, channels) for _ in range(n_layers)])
        self.norm = nn.LayerNorm(n_layers * channels)
        self.pooling = AttentiveStatisticsPooling(n_layers * channels, attention_channels=attention_channels)
        self.pooled_norm = nn.BatchNorm1d(2 * n_layers * channels)
        self.embedding = nn.Linear(2 * n_layers * channels, size)

    def forward(self, layers: Tensor, weights: Tensor) -> Tensor:
        """(layers, batch, t, n_in) hidden states, (layers,) weights -> (batch, 1, size)."""
        adapted = [
            weight * adapter(layer) for layer, adapter, weight in zip(layers, self.adapters, weights, strict=True)
        ]
        pooled = self.pooling(self.norm(torch.cat(adapted, 2)).transpose(1, 2))
        return self.embedding(self.pooled_norm(pooled.squeeze(2))).unsqueeze(1)


HEADS: dict[str, type[nn.Module]] = {"ecapa": Ecapa, "mfa": Mfa}


class SelfSupervisedEncoder(nn.Module):
    """Waveform -> hidden states of all layers -> head -> embedding, called as SpeechBrain calls its ECAPA-TDNN.

    Parameters
    ----------
    config : config.json of the model, as text
    preprocessor : preprocessor_config.json, as text
    head : a key of `HEADS`
    channels : ecapa: of its first four blocks; mfa: of each layer's Linear
    attention_channels, lin_neurons : of the pooling; size of the embedding

    Raises
    ------
    InputError : the package transformers is absent, or the configuration is of another type
    """

    network = "avsv.models.self_supervised.SelfSupervisedEncoder"
    front_end: ClassVar[FrontEnd] = WAVEFORM
    limits: ClassVar[Mapping[str, Check]] = {
        "config": configuration, "preprocessor": preprocessor, "head": one_of(*HEADS), "channels": natural,
        "attention_channels": natural, "lin_neurons": natural}  # fmt: skip
    in_torch = True  # its preprocessing and masks have no counterpart in ONNX here

    @staticmethod
    def arguments(options: Any) -> dict[str, Any]:
        """Arguments of this class for a training's `SpeakerEncoderOptions`."""
        from avsv.models.self_supervised_files import read_texts

        config, of_preprocessor = read_texts(options.ssl)
        return {"config": config, "preprocessor": of_preprocessor, "head": options.ssl_head,
                "channels": options.channels, "attention_channels": options.attention_channels,
                "lin_neurons": options.embedding_size}  # fmt: skip

    def __init__(self, config: str, preprocessor: str, head: str = "ecapa", channels: int = 512,
                 attention_channels: int = 128, lin_neurons: int = 192):  # fmt: skip
        super().__init__()
        self.model = build_model(config, preprocessor)
        n_layers, n_in = self.model.config.num_hidden_layers + 1, self.model.config.hidden_size
        self.layer_weights = nn.Parameter(torch.zeros(n_layers))
        self.head = HEADS[head](n_layers, n_in, channels, attention_channels, lin_neurons)
        self.frozen = False

    def set_rate(self, share: float) -> None:
        """Train the self-supervised model at a share of the head's learning rate, or not at all if it is 0."""
        self.frozen = share == 0
        self.model.requires_grad_(not self.frozen)
        for parameter in self.model.parameters():
            parameter.rate_share = share
        self.train(self.training)

    def train(self, mode: bool = True) -> "SelfSupervisedEncoder":
        super().train(mode)
        if self.frozen:
            self.model.eval()
        return self

    def forward(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, n, 1) waveforms without padding -> (batch, 1, size); `lengths` are ignored."""
        waveforms = waveforms.squeeze(2)
        if waveforms.shape[1] < LEAST:
            waveforms = waveforms.repeat(1, -(-LEAST // waveforms.shape[1]))[:, :LEAST]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            layers = self.model(waveforms)
        return self.head(layers, self.layer_weights.softmax(0))


def build_model(config: str, of_preprocessor: str) -> nn.Module:
    """SpeechBrain's module of a model with random weights, which returns the hidden states of all layers.

    Raises
    ------
    InputError : see `SelfSupervisedEncoder`
    """
    if not configuration(config) or not preprocessor(of_preprocessor):
        raise InputError("expected the configuration of a model of type "
                         f"{', '.join(INTEGRATIONS)} with a preprocessor {' or '.join(PREPROCESSORS)}")  # fmt: skip
    require_transformers()
    import_speechbrain()
    name, _, cls = INTEGRATIONS[json.loads(config)["model_type"]].rpartition(".")
    kind = getattr(importlib.import_module(f"speechbrain.integrations.huggingface.{name}"), cls)
    with (
        TemporaryDirectory() as folder,
        warnings.catch_warnings(),
    ):  # the integration reads both configurations from files
        warnings.simplefilter("ignore")  # SpeechBrain calls a deprecated method
        settings = {**json.loads(config), "layerdrop": 0.0}  # a layer left out in training would have no hidden state
        (Path(folder) / "config.json").write_text(json.dumps(settings), encoding="utf-8")
        (Path(folder) / "preprocessor_config.json").write_text(of_preprocessor, encoding="utf-8")
        options = {"freeze": False, "output_all_hiddens": True}
        return type(cls, (WithoutWeights, kind), {})(folder, save_path=folder, **options)


class WithoutWeights:
    """Part of a subclass of SpeechBrain's integrations that builds the model without reading weights."""

    def _from_pretrained(self, *_: Any, **__: Any) -> None:
        self.model = self.auto_class.from_config(self.config)


def require_transformers() -> None:
    """Raise InputError if the package transformers is absent."""
    if importlib.util.find_spec("transformers") is None:
        raise InputError("self-supervised encoders need the package transformers, which is not installed; install it: "
                         "pip install transformers, or avsv with its extra ssl")  # fmt: skip
