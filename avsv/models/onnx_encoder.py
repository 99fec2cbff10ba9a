"""A SpeechBrain speaker encoder in ONNX Runtime, one whole clip at a time: without padding, no masks are needed.

On a CPU this is the fastest exact method we measured. Batches save nothing there, because the matrix products of one
clip are large enough, while padding costs time and changes the embedding. Several threads may share one session.
"""

import copy
import logging
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from avsv.models.onnx import to_onnx

log = logging.getLogger("avsv")
Network = Callable[[Tensor], np.ndarray]  # (t, mel bands) normalised features of one clip -> (d,) float32
TRIED = (80, 145)  # lengths in frames of the noise on which session and torch must agree; the first is the traced one
AGREEMENT = 1e-4  # largest difference, relative to the embedding's norm


class WholeClipPooling(nn.Module):
    """SpeechBrain's attentive statistics pooling (Desplanques et al., 2020) for clips without padding.

    The attention's input is each frame together with the clip's mean and deviation. Their part of the first layer is
    the same for all frames and is computed once instead of per frame, which saves 6 % of the encoder's multiplications.

    Parameters
    ----------
    pooling : speechbrain.lobes.models.ECAPA_TDNN.AttentiveStatisticsPooling with global context
    """

    def __init__(self, pooling: nn.Module):
        super().__init__()
        self.tdnn, self.last, self.eps = pooling.tdnn, pooling.conv, pooling.eps
        layer = self.tdnn.conv.conv
        n_context = layer.in_channels * 2 // 3
        self.of_frame = nn.Conv1d(layer.in_channels - n_context, layer.out_channels, 1, bias=False)
        self.of_clip = nn.Conv1d(n_context, layer.out_channels, 1)
        weights = layer.weight.detach().split([layer.in_channels - n_context, n_context], 1)
        self.of_frame.weight, self.of_clip.weight = (nn.Parameter(w.contiguous()) for w in weights)
        self.of_clip.bias = layer.bias

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """(batch, channels, t) -> (batch, 2 channels, 1); `lengths` are ignored."""
        mean = x.mean(2, keepdim=True)
        deviation = (x - mean).square().mean(2, keepdim=True).clamp(min=self.eps).sqrt()
        hidden = self.of_frame(x) + self.of_clip(torch.cat([mean, deviation], 1))
        attention = self.last(torch.tanh(self.tdnn.norm(self.tdnn.activation(hidden)))).softmax(2)
        mean = (attention * x).sum(2, keepdim=True)
        variance = (attention * (x - mean).square()).sum(2, keepdim=True)
        return torch.cat([mean, variance.clamp(min=self.eps).sqrt()], 1)


class WholeClip(nn.Module):
    """An encoder called with features only, and with the faster pooling if it applies."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        pooling = getattr(self.encoder, "asp", None)
        if type(pooling).__name__ == "AttentiveStatisticsPooling" and pooling.global_context:
            self.encoder.asp = WholeClipPooling(pooling)

    def forward(self, features: Tensor) -> Tensor:
        """(1, t, mel bands) -> (1, d)"""
        return self.encoder(features).squeeze(1)


def in_torch(encoder: nn.Module) -> Network:
    """The network, computed by torch."""
    return lambda features: encoder(features.unsqueeze(0)).reshape(-1).float().numpy()


def in_onnxruntime(encoder: nn.Module, n_mels: int) -> Network:
    """The network in a single-threaded ONNX session; falls back to torch if the export fails, and logs the reason.

    Parameters
    ----------
    encoder : SpeechBrain's `mods.embedding_model` or a module with the same interface, on the CPU, in evaluation mode
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_mem_pattern = False  # it would keep a pattern for each clip length
    try:
        session = onnxruntime.InferenceSession(as_onnx(encoder, n_mels), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # exporter and onnxruntime raise many types
        reason = " ".join(str(error).split())[:200]
        log.warning("the encoder cannot be exported to ONNX and runs in torch, which is slower (%s: %s)",
                    type(error).__name__, reason)  # fmt: skip
        return in_torch(encoder)

    def network(features: Tensor) -> np.ndarray:
        return session.run(None, {"features": features.unsqueeze(0).numpy()})[0][0]

    difference = max(disagreement(network, in_torch(encoder), n_mels, n_frames) for n_frames in TRIED)
    if not difference < AGREEMENT:
        log.warning("the encoder runs in torch, which is slower: the output of onnxruntime differs by %.2g", difference)
        return in_torch(encoder)
    return network


def as_onnx(encoder: nn.Module, n_mels: int) -> bytes:
    """The encoder as the bytes of an ONNX file that takes clips of any length; the encoder itself is not changed."""
    axes = {"features": {1: "frames"}}
    return to_onnx(WholeClip(encoder), {"features": torch.zeros(1, TRIED[0], n_mels)}, ["embedding"], axes)


def disagreement(one: Network, other: Network, n_mels: int, n_frames: int) -> float:
    """Largest difference of two networks' outputs on noise, relative to the norm of the output."""
    features = torch.randn(n_frames, n_mels, generator=torch.Generator().manual_seed(n_frames))
    with torch.inference_mode():
        output, expected = one(features), other(features)
    return float(np.abs(output - expected).max() / max(float(np.linalg.norm(expected)), 1e-12))
