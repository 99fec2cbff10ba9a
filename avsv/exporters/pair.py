"""Fusion networks of voice and face (AVN-E, the head of AVN-J) as ONNX files."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avsv.embeddings.pair import load_fusion
from avsv.exporters.onnx_file import Exported, agreement, lengths, open_onnx, traced, write_onnx
from avsv.models.avn_e import CompactBilinear, Fusion
from avsv.models.model_cards import licence_of

BOUND = 1e-5  # of the difference, relative to the length of the embedding
MOST_PAIRS = 200  # in a random batch


class FourierConvolution(nn.Module):
    """`CompactBilinear` with matrices for the sketches and the Fourier transforms, which ONNX runtimes implement."""

    def __init__(self, head: CompactBilinear):
        super().__init__()
        self.out_size = size = head.out_size
        for name in ("voice", "face"):
            place, sign = getattr(head, f"{name}_place"), getattr(head, f"{name}_sign")
            sketch = torch.zeros(len(place), size).index_put((torch.arange(len(place)), place), sign)
            self.register_buffer(f"{name}_sketch", sketch)
        angles = 2 * math.pi / size * (torch.outer(torch.arange(size), torch.arange(size)) % size).double()
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())

    def spectrum(self, vectors: Tensor, sketch: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        sketched = (vectors @ sketch).double()
        return (sketched @ self.cos).masked_fill(~present, 1.0), -(sketched @ self.sin).masked_fill(~present, 0.0)

    def forward(self, voice: Tensor, face: Tensor, present: Tensor, cues: Tensor) -> tuple[Tensor, Tensor]:
        (a, b) = self.spectrum(voice, self.voice_sketch, present[:, :1])
        (c, d) = self.spectrum(face, self.face_sketch, present[:, 1:])
        real, imaginary = a * c - b * d, a * d + b * c
        out = (real @ self.cos - imaginary @ self.sin) / self.out_size
        return out.float(), torch.full_like(present, 0.5, dtype=voice.dtype)


class PairNetwork(nn.Module):
    """The fusion network with plain tensors as input and output."""

    def __init__(self, fusion: Fusion):
        super().__init__()
        self.fusion = fusion
        if isinstance(fusion.head, CompactBilinear):
            fusion.head = FourierConvolution(fusion.head)

    def forward(
        self, voice: Tensor, face: Tensor, present: Tensor, quality: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        fused = self.fusion(voice, face, present, voice[:, :0] if quality is None else quality)
        return fused.out, fused.weights


def export_pair(folder: Path, out: Path, licence: str | None = None) -> Exported:
    """Export a fusion network to an ONNX file.

    Inputs: "voice" (batch, n) and "face" (batch, m) float32, embeddings as embed-voice and embed-face write them;
    "present" (batch, 2) bool, whether there is a voice and a face (a missing one's embedding is ignored); "quality"
    (batch, k) float32, NaN where absent, if the network has quality tables, named in the metadata. Outputs: "embedding"
    (batch, d), and "weights" (batch, 2) of voice and face.

    Parameters
    ----------
    folder : a finished training of task avn_e or avn_j
    out : the file
    licence : of the network; None: as in the model card

    Raises
    ------
    InputError : no fusion network, or an exported one that differs from the original by more than `BOUND`
    """
    fusion = load_fusion(folder)
    inputs = draw_pairs(fusion, np.random.default_rng(0), 3)
    axes = {name: {0: "batch"} for name in (*inputs, "embedding", "weights")}
    data = traced(PairNetwork(load_fusion(folder)), inputs, ["embedding", "weights"], axes, folder)
    metadata = {
        "avsv.kind": "fusion of voice and face", "avsv.input": "embeddings", "avsv.size": fusion.out_size,
        "avsv.voice": fusion.encoders["voice"] or "unknown", "avsv.face": fusion.encoders["face"] or "unknown",
        "avsv.quality": json.dumps(tables_of(fusion)), "avsv.source": folder.resolve().name,
        "avsv.model": fusion.digest, "license": licence_of(folder, licence),
    }  # fmt: skip
    return write_onnx(out, data, metadata, agreement(compare(fusion, data)), BOUND)


def tables_of(fusion: Fusion) -> list[str]:
    """The columns of the input "quality"."""
    options = fusion.options
    return [*(f"voice {name}" for name in options.voice_quality), *(f"face {name}" for name in options.face_quality)]


def draw_pairs(fusion: Fusion, rng: np.random.Generator, n: int) -> dict[str, Tensor]:
    """Random embeddings, some of them missing, and quality values, some of them absent."""
    present = rng.random((n, 2)) < 0.8
    present[~present.any(1)] = True
    quality = rng.standard_normal((n, len(tables_of(fusion)))) * 3
    quality[rng.random(quality.shape) < 0.1] = np.nan
    inputs: dict[str, Any] = {
        "voice": rng.standard_normal((n, fusion.n_voice)), "face": rng.standard_normal((n, fusion.n_face)),
    }  # fmt: skip
    inputs = {name: torch.from_numpy(value.astype(np.float32)) for name, value in inputs.items()}
    inputs["present"] = torch.from_numpy(present)
    if quality.shape[1]:
        inputs["quality"] = torch.from_numpy(quality.astype(np.float32))
    return inputs


@torch.inference_mode()
def compare(fusion: Fusion, data: bytes) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield fused embeddings and weights of the exported and the original network, for random batches."""
    run, rng = open_onnx(data), np.random.default_rng(1)
    for n in lengths(rng, 1, MOST_PAIRS):
        inputs = draw_pairs(fusion, rng, n)
        embeddings, weights = run({name: value.numpy() for name, value in inputs.items()})
        fused = fusion(**inputs)
        yield embeddings, fused.out.numpy()
        yield weights, fused.weights.numpy()
