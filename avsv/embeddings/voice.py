"""Voice embeddings: waveforms through a speaker encoder: SpeechBrain's, an ONNX file, or one of the user's own."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from avsv.errors import InputError
from avsv.features.audio_damage import damage_audio
from avsv.features.quality_measures import voice_quality
from avsv.features.voice_inputs import embed_in_parts
from avsv.jobs.progress import progress
from avsv.jobs.threads import map_ahead, n_allowed
from avsv.kaldi.origin import onnx_voice, python_class, voice_model
from avsv.kaldi.segments import Source, is_pipe
from avsv.kaldi.shard_writer import ShardWriter
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import audio_duration, read_waveform
from avsv.models.device import pick_device
from avsv.models.onnx_encoder import in_onnxruntime, in_torch
from avsv.models.onnx_voice import OnnxVoiceEncoder, load_onnx_voice
from avsv.models.python_encoder import PythonEncoder, load_python_encoder
from avsv.models.speechbrain_folder import load_encoder

RATE = 16000
SHORTEST = 0.1  # seconds; more than the encoder's widest convolution spans
WINDOW = 300.0  # seconds embedded at once, which bounds the memory of the widest layers


class VoiceEmbedder:
    """Embeds waveforms such that each embedding depends on its own clip only.

    SpeechBrain's encoder masks the padding of a batch in its poolings but not in its convolutions, which changes the
    embeddings of short clips in a batch of unequal lengths (to a cosine of 0.993 on real clips). This class never pads:
    on a CPU it embeds each clip alone, on a GPU it batches clips of exactly equal length.

    A clip over 300 s is split into the fewest windows of at most 300 s, nearly equal and without overlap. Its embedding
    is the mean of theirs, weighted by length. Memory therefore does not grow with the clip.

    Parameters
    ----------
    encoder : SpeechBrain's EncoderClassifier
    device : the encoder's device
    model : name of the encoder, see avsv/kaldi/origin.py
    """

    def __init__(self, encoder: torch.nn.Module, device: torch.device, model: str = ""):
        self.model = model
        self.encoder, self.alone, self.network = encoder.eval(), device.type == "cpu", None
        if self.alone:
            network, n_bands = encoder.mods["embedding_model"], self.features(np.zeros(RATE, np.float32)).shape[1]
            self.network = (
                in_torch(network) if getattr(network, "in_torch", False) else in_onnxruntime(network, n_bands)
            )

    def features(self, waveform: np.ndarray) -> torch.Tensor:
        """Normalised features of one waveform, (t, mel bands), as in SpeechBrain's `encode_batch`."""
        with torch.inference_mode():
            features = self.encoder.mods["compute_features"](torch.from_numpy(waveform).unsqueeze(0))
            return self.encoder.mods["mean_var_norm"](features, torch.ones(1)).squeeze(0)

    def __call__(self, waveforms: list[np.ndarray]) -> np.ndarray:
        """Embed a list of (n_i,) float32 waveforms at 16 kHz: (len, d) float32."""
        short = [waveform for waveform in waveforms if len(waveform) <= WINDOW * RATE]
        vectors = iter(self.embed_short(short) if short else ())
        return np.stack([next(vectors) if len(w) <= WINDOW * RATE else self.embed_long(w) for w in waveforms])

    def embed_long(self, waveform: np.ndarray) -> np.ndarray:
        """Embed a (n,) float32 waveform window by window: (d,) float32."""
        return embed_in_parts(waveform, WINDOW, lambda window: self.embed_short([window])[0])

    def embed_short(self, waveforms: list[np.ndarray]) -> np.ndarray:
        """Like `__call__`, for waveforms that need no windows."""
        if self.alone:
            return np.stack([self.network(self.features(waveform)) for waveform in waveforms])
        vectors: list = [None] * len(waveforms)
        by_length = sorted(range(len(waveforms)), key=lambda row: len(waveforms[row]))
        for _, group in groupby(by_length, key=lambda row: len(waveforms[row])):
            rows = list(group)
            with torch.inference_mode():
                batch = torch.from_numpy(np.stack([waveforms[row] for row in rows]))
                embeddings = self.encoder.encode_batch(batch).squeeze(1).float().cpu().numpy()
            for row, vector in zip(rows, embeddings, strict=True):
                vectors[row] = vector
        return np.stack(vectors)


def load_voice_encoder(
    source: Path | str, device: str = "cpu", trust: bool = False
) -> VoiceEmbedder | PythonEncoder | OnnxVoiceEncoder:
    """Load a speaker encoder.

    Parameters
    ----------
    source : folder that `avsv train` wrote, or one in SpeechBrain's format, or the name of a published encoder, such as
        "speechbrain/spkrec-ecapa-voxceleb", which is downloaded once, or an ONNX file or the folder of one (see
        avsv/models/onnx_settings.py), or "FILE.py:CLASS", a class of the user's own (avsv/models/python_encoder.py)
    device : "cpu" or "cuda"; a class of the user's own chooses its device itself
    trust : run the program of FILE.py:CLASS, or that in hyperparams.yaml of an encoder that is not recognised

    Returns
    -------
    VoiceEmbedder, PythonEncoder or OnnxVoiceEncoder : call it with a list of waveforms, (n,) float32 at 16 kHz each,
        for an array (len, d) float32

    Raises
    ------
    InputError : no such encoder, a damaged one, or one that is not recognised and not trusted

    Examples
    --------
    >>> voice = load_voice_encoder("exp/voice")              # doctest: +SKIP
    >>> voice([np.zeros(16000, np.float32) + 1e-3]).shape    # doctest: +SKIP
    (1, 192)
    """
    if python_class(source):
        return load_python_encoder(source, trust)
    if onnx_voice(source):
        return load_onnx_voice(source, device)
    on = pick_device(device)
    return VoiceEmbedder(load_encoder(str(source), str(on), trust), on, voice_model(source))


class Embedded(NamedTuple):
    """Result for one clip: its embedding and quality measures, or the reason why it has none."""

    utt: str
    vector: np.ndarray | None = None
    measures: dict[str, float] | None = None
    reason: str = ""


def embed_clips(
    embed: VoiceEmbedder,
    wav: dict[str, Source],
    seconds: dict[str, float],
    damage: dict[str, dict],
    out: ShardWriter,
    batch_seconds: float = 60,
    allow_pipes: bool = False,
    track: int | None = None,
) -> None:
    """Embed every clip of `wav` into the archive "embedding"; clips that cannot be read are skipped.

    Quality measures of the embedded audio and the norm of the embedding go to the tables `VOICE_TABLES`. Threads share
    the clips; each thread reads, measures and embeds.

    Parameters
    ----------
    wav : utt -> path, or segment of a recording
    seconds : utt -> approximate duration (utt2dur); for other clips the file's header is read
    damage : utt -> damage to apply before embedding
    batch_seconds : most audio in a batch on a GPU, seconds
    allow_pipes, track : see `read_waveform`
    """

    def read(utt: str) -> np.ndarray:
        return read_clip(wav[utt], damage.get(utt), allow_pipes, track)

    def work(utts: list[str]) -> list[Embedded]:
        torch.set_num_threads(1)  # per thread of this loop, which has one thread per core
        return embed_batch(embed, utts, read, batch_seconds)

    batches: Iterable[list[str]] = ([utt] for utt in wav)
    if not embed.alone:
        batches = batches_by_length(known_lengths(wav, seconds, out), batch_seconds)
    bar, n_threads = progress([], "voice embeddings", len(wav)), torch.get_num_threads()
    try:
        for clips in map_ahead(work, batches, n_allowed()):
            for clip in clips:
                note(clip, out)
            bar.update(len(clips))
    finally:
        torch.set_num_threads(n_threads)
        bar.close()


def embed_batch(
    embed: VoiceEmbedder, utts: list[str], read: Callable[[str], np.ndarray], batch_seconds: float
) -> list[Embedded]:
    """Read and embed some clips; unreadable clips give a reason instead of an embedding."""
    waveforms, done = {}, []
    for utt in utts:
        try:
            waveforms[utt] = read(utt)
        except InputError as error:
            done.append(Embedded(utt, reason=str(error)))
        if sum(map(len, waveforms.values())) > 2 * batch_seconds * RATE:  # the declared durations were wrong
            done += embed_waveforms(embed, waveforms)
            waveforms = {}
    return done + embed_waveforms(embed, waveforms)


def embed_waveforms(embed: VoiceEmbedder, waveforms: dict[str, np.ndarray]) -> list[Embedded]:
    """Embed some clips; where an encoder fails that gets one clip at a time, there is a reason instead."""
    try:
        vectors = embed(list(waveforms.values())) if waveforms else ()
    except InputError as error:
        return [Embedded(utt, reason=str(error)) for utt in waveforms]
    return [Embedded(utt, vector, voice_quality(waveform))
            for (utt, waveform), vector in zip(waveforms.items(), vectors, strict=True)]  # fmt: skip


def note(clip: Embedded, out: ShardWriter) -> None:
    """Write the result for a clip, or record it as skipped."""
    if clip.vector is None:
        out.skip(clip.utt, clip.reason)
        return
    out.write("embedding", clip.utt, clip.vector)
    for table, value in {**clip.measures, "utt2magnitude": float(np.linalg.norm(clip.vector))}.items():
        out.note(table, clip.utt, value)


def known_lengths(wav: dict[str, Source], seconds: dict[str, float], out: ShardWriter) -> dict[str, float]:
    """Approximate durations of clips; pipes get infinity and sort last, clips with unreadable headers are skipped."""
    lengths = {}
    for utt, path in wav.items():
        try:
            lengths[utt] = seconds.get(utt) or (float("inf") if is_pipe(path) else guarded(audio_duration, path))
        except InputError as error:
            out.skip(utt, str(error))
    return lengths


def read_clip(path: Source, damage: dict | None, allow_pipes: bool, track: int | None = None) -> np.ndarray:
    """Read a clip's waveform and apply its damage, (n,) float32 at 16 kHz; parameters as in `embed_clips`."""
    waveform = check_waveform(guarded(read_waveform, path, RATE, allow_pipes, track), path)
    return damage_audio(waveform, damage) if damage else waveform


def check_waveform(waveform: np.ndarray, path: Source) -> np.ndarray:
    """Return the waveform; raises InputError if it is too short to embed, or silent."""
    if len(waveform) < SHORTEST * RATE:
        raise InputError(f"{path}: the audio lasts {len(waveform) / RATE:.3f} s, less than {SHORTEST} s")
    if not np.any(waveform):
        raise InputError(f"{path}: the audio is silent, every sample is 0")
    return waveform


def batches_by_length(lengths: dict[str, float], most_seconds: float) -> Iterator[list[str]]:
    """Batches of clips of equal duration, shortest first, with at most `most_seconds` of audio each.

    Codecs and corpora cut clips at whole frames (64 ms in VoxCeleb2), so many clips have the same duration.

    Examples
    --------
    >>> list(batches_by_length({"a": 3.0, "b": 9.0, "c": 3.0}, 60))
    [['a', 'c'], ['b']]
    """
    batch: list[str] = []
    for utt in sorted(lengths, key=lambda utt: (lengths[utt], utt)):
        if batch and (lengths[utt] != lengths[batch[0]] or lengths[utt] * (len(batch) + 1) > most_seconds):
            yield batch
            batch = []
        batch.append(utt)
    if batch:
        yield batch
