"""Voice encoders as ONNX files, with waveforms or features as input."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from avsv.errors import InputError
from avsv.exporters.onnx_file import Exported, agreement, lengths, open_onnx, traced, write_onnx
from avsv.kaldi.origin import voice_model
from avsv.models.front_ends import FrameNormalization, KaldiFbank
from avsv.models.hyperparams import RATE
from avsv.models.model_cards import licence_of
from avsv.models.onnx_encoder import WholeClip
from avsv.models.onnx_frontend import front_end_in_onnx
from avsv.models.speechbrain_folder import encoder_folder, load_encoder

BOUND = 1e-5  # of the difference, relative to the length of the embedding
SECONDS = (0.1, 6.0)  # shortest and longest random waveform
HOLD = 1600  # samples between two random levels of a random waveform


class FromWaveform(nn.Module):
    """Front end and network: (batch, n) waveforms at 16 kHz -> (batch, d)."""

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.features = front_end_in_onnx(encoder.mods["compute_features"], encoder.mods["mean_var_norm"])
        self.network = WholeClip(encoder.mods["embedding_model"])

    def forward(self, waveform: Tensor) -> Tensor:
        return self.network(self.features(waveform))


def export_voice(source: str, out: Path, given: str = "waveform", licence: str | None = None) -> Exported:
    """Export a speaker encoder to an ONNX file.

    The input is "waveform", (batch, n) float32 at 16 kHz with full scale 1, or "features", (batch, t, mel bands)
    float32. The output is "embedding", (batch, d) float32. All waveforms of a batch have the same length: padding would
    change an embedding, the other waveforms do not.

    Parameters
    ----------
    source : folder or published name of an encoder in SpeechBrain's format
    out : the file
    given : "waveform" or "features"
    licence : of the weights; None: as in the model card

    Raises
    ------
    InputError : no such encoder, features that cannot be exported, or an exported network that differs from the
        original by more than `BOUND`
    """
    encoder = load_encoder(source, "cpu")
    if getattr(encoder.mods["embedding_model"], "in_torch", False):
        raise InputError(f"{source}: is built on a self-supervised model, whose preprocessing has no counterpart in "
                        "ONNX here; export it to speechbrain, or use it in torch")  # fmt: skip
    if given == "waveform":
        example, axis = torch.randn(2, RATE, generator=torch.Generator().manual_seed(0)), "samples"
        net: nn.Module = FromWaveform(encoder)
    else:
        example, axis, net = (
            features_of(encoder, torch.randn(2, RATE)),
            "frames",
            WholeClip(encoder.mods["embedding_model"]),
        )
    axes = {given: {0: "batch", 1: axis}, "embedding": {0: "batch"}}
    data = traced(net, {given: example}, ["embedding"], axes, source)
    difference = agreement(compare(encoder, data, given))
    return write_onnx(out, data, describe(encoder, source, given, licence), difference, BOUND)


def export_sherpa(source: str, out: Path, licence: str | None = None) -> Exported:
    """Export a speaker encoder that was trained on sherpa-onnx's features to an ONNX file for sherpa-onnx.

    sherpa-onnx gives a network of framework "wespeaker" or "3d-speaker" Kaldi's filter banks with Povey window,
    pre-emphasis, 20 to 7600 Hz and mirrored edges; the metadata choose only the scale of the waveform
    (normalize_samples), the sample rate, and whether the mean is subtracted (its csrc/features.h, features.cc and
    speaker-embedding-extractor-general-impl.h). Parameters are those of `export_voice`.

    Raises
    ------
    InputError : as `export_voice`, or an encoder of other features
    """
    encoder = load_encoder(source, "cpu")
    features, normalization = encoder.mods["compute_features"], encoder.mods["mean_var_norm"]
    if not isinstance(features, KaldiFbank) or getattr(normalization, "std_norm", True):
        raise InputError(
            f"{source}: cannot be exported for sherpa-onnx, which computes only Kaldi's filter banks (Povey window, "
            "pre-emphasis, 20 to 7600 Hz): the network expects other features, and its embeddings would be wrong. "
            "Train it with features: kaldi, or export it to onnx with waveforms as input"
        )
    network, axes = WholeClip(encoder.mods["embedding_model"]), {"features": {0: "batch", 1: "frames"}}
    example = {"features": features_of(encoder, torch.randn(2, RATE))}
    data = traced(network, example, ["embedding"], {**axes, "embedding": {0: "batch"}}, source)
    about = describe(encoder, source, "features", licence)
    theirs = {"framework": "wespeaker", "language": "unknown", "sample_rate": RATE, "output_dim": about["avsv.size"],
              "normalize_samples": 0, "feature_normalize_type": "global-mean"}  # fmt: skip
    return write_onnx(out, data, {**theirs, **about}, agreement(compare(encoder, data, "features")), BOUND)


def features_of(encoder: nn.Module, waveforms: Tensor) -> Tensor:
    """The input of the encoder's network for (batch, n) waveforms of equal length."""
    return encoder.mods["mean_var_norm"](encoder.mods["compute_features"](waveforms), torch.ones(len(waveforms)))


@torch.inference_mode()
def compare(encoder: nn.Module, data: bytes, given: str) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield embeddings of the exported and the original encoder, for random waveforms of many lengths.

    The exported one gets batches of one or two waveforms, the original one waveform at a time.
    """
    run, rng = open_onnx(data), np.random.default_rng(0)
    for n in lengths(rng, *(RATE * seconds for seconds in SECONDS)):
        waveforms = torch.from_numpy(np.stack([draw_waveform(rng, n) for _ in range(rng.integers(1, 3))]))
        inputs = waveforms if given == "waveform" else features_of(encoder, waveforms)
        ours = run({given: inputs.numpy()})[0]
        yield ours, torch.cat([encoder.encode_batch(one.unsqueeze(0)) for one in waveforms]).squeeze(1).numpy()


def draw_waveform(rng: np.random.Generator, n: int) -> np.ndarray:
    """Noise with a random spectrum and a level that varies over time as in speech, (n,) float32."""
    noise = np.convolve(rng.standard_normal(n), rng.standard_normal(16), "same")
    knots = np.arange(0, n + HOLD, HOLD)
    level = np.exp(np.interp(np.arange(n), knots, 1.5 * rng.standard_normal(len(knots))))
    return (0.5 * noise * level / np.abs(noise * level).max()).astype(np.float32)


def describe(encoder: nn.Module, source: str, given: str, licence: str | None) -> dict[str, Any]:
    """Metadata of the exported file."""
    folder = encoder_folder(source)
    size = encoder.encode_batch(torch.zeros(1, RATE)).shape[-1]
    name = source if not Path(source).is_dir() else folder.resolve().name
    return {
        "avsv.kind": "voice encoder", "avsv.input": given, "avsv.sample_rate": RATE, "avsv.size": size,
        "avsv.features": json.dumps(describe_features(encoder)), "avsv.source": name,
        "avsv.model": voice_model(source), "license": licence_of(folder, licence),
    }  # fmt: skip


def describe_features(encoder: nn.Module) -> dict[str, Any]:
    """The features that the network expects, to compute them elsewhere."""
    features, normalization = encoder.mods["compute_features"], encoder.mods["mean_var_norm"]
    described: dict[str, Any] = {"type": type(features).__name__}
    if type(features).__name__ == "Fbank":
        stft, filters = features.compute_STFT, features.compute_fbanks
        described = {
            "type": "speechbrain fbank", "n_mels": filters.n_mels, "n_fft": stft.n_fft, "win_length": stft.win_length,
            "hop_length": stft.hop_length, "window": "hamming", "centred": True, "low_freq": filters.f_min,
            "high_freq": filters.f_max, "filters": filters.filter_shape, "log": "dB", "top_db": filters.top_db,
            "deltas": features.deltas, "context": features.context,
        }  # fmt: skip
    if isinstance(normalization, FrameNormalization):
        return {**described, "mean": "frame", "deviation": "frame"}
    deviation = "utterance" if getattr(normalization, "std_norm", False) else "none"
    return {**described, "mean": "utterance", "deviation": deviation}
