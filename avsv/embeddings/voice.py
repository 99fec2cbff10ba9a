"""Voice embeddings: sound through a SpeechBrain speaker encoder."""

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from avsv.errors import InputError
from avsv.features.audio_damage import damage_audio
from avsv.features.quality_measures import voice_quality
from avsv.jobs.progress import progress
from avsv.jobs.threads import map_ahead, n_allowed
from avsv.kaldi.origin import voice_model
from avsv.kaldi.segments import Source, is_pipe
from avsv.kaldi.shard_writer import ShardWriter
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import audio_duration, read_waveform
from avsv.models.device import pick_device
from avsv.models.ecapa import load_encoder
from avsv.models.onnx_encoder import in_onnxruntime

RATE = 16000
SHORTEST = 0.1  # seconds; the encoder's widest convolution spans less
WINDOW = 300.0  # seconds that go through the network at once; its widest layers take memory in proportion


class VoiceEmbedder:
    """Sounds to embeddings, each as if it were alone: an embedding depends on nothing but its clip.

    SpeechBrain's encoder hides the padding of a batch from its poolings, not from its convolutions, so that in a batch
    of unequal lengths a short clip's embedding moves (to a cosine of 0.993 on real clips). Nothing is padded here: on a
    CPU each clip goes through the network by itself, on a GPU clips of exactly one length go together.

    A clip longer than 300 s is cut into windows of up to that, as equal as can be, without overlap; its embedding is
    the mean of theirs, weighted by their lengths, so that memory does not grow with the clip.

    Parameters
    ----------
    encoder : SpeechBrain's EncoderClassifier
    device : where it is
    model : name of the encoder, see avsv/kaldi/origin.py
    """

    def __init__(self, encoder: torch.nn.Module, device: torch.device, model: str = ""):
        self.model = model
        self.encoder, self.alone, self.network = encoder.eval(), device.type == "cpu", None
        if self.alone:
            n_mels = self.features(np.zeros(RATE, np.float32)).shape[1]
            self.network = in_onnxruntime(encoder.mods["embedding_model"], n_mels)

    def features(self, sound: np.ndarray) -> torch.Tensor:
        """Normalised features of one sound, (t, mel bands), as `encode_batch` makes them."""
        with torch.inference_mode():
            features = self.encoder.mods["compute_features"](torch.from_numpy(sound).unsqueeze(0))
            return self.encoder.mods["mean_var_norm"](features, torch.ones(1)).squeeze(0)

    def __call__(self, sounds: list[np.ndarray]) -> np.ndarray:
        """List of (n_i,) float32 at 16 kHz -> (len, d) float32."""
        short = [sound for sound in sounds if len(sound) <= WINDOW * RATE]
        vectors = iter(self.embed_short(short) if short else ())
        return np.stack([next(vectors) if len(sound) <= WINDOW * RATE else self.embed_long(sound) for sound in sounds])

    def embed_long(self, sound: np.ndarray) -> np.ndarray:
        """(n,) float32 -> (d,) float32, window by window."""
        windows = np.array_split(sound, int(np.ceil(len(sound) / (WINDOW * RATE))))
        vectors = [self.embed_short([window])[0] for window in windows]
        return np.average(vectors, axis=0, weights=[len(window) for window in windows]).astype(np.float32)

    def embed_short(self, sounds: list[np.ndarray]) -> np.ndarray:
        """As `__call__`, without windows."""
        if self.alone:
            return np.stack([self.network(self.features(sound)) for sound in sounds])
        vectors: list = [None] * len(sounds)
        by_length = sorted(range(len(sounds)), key=lambda row: len(sounds[row]))
        for _, group in groupby(by_length, key=lambda row: len(sounds[row])):
            rows = list(group)
            with torch.inference_mode():
                batch = torch.from_numpy(np.stack([sounds[row] for row in rows]))
                found = self.encoder.encode_batch(batch).squeeze(1).float().cpu().numpy()
            for row, vector in zip(rows, found, strict=True):
                vectors[row] = vector
        return np.stack(vectors)


def load_voice_encoder(source: Path | str, device: str = "cpu", trust: bool = False) -> VoiceEmbedder:
    """Load a speaker encoder.

    Parameters
    ----------
    source : folder that `avsv train` wrote, or one in SpeechBrain's format, or the name of a published encoder, such as
        "speechbrain/spkrec-ecapa-voxceleb", which is downloaded once
    device : "cpu" or "cuda"
    trust : run the program in hyperparams.yaml of an encoder that is not recognised

    Returns
    -------
    VoiceEmbedder : call it with a list of waveforms, (n,) float32 at 16 kHz each, for an array (len, d) float32

    Raises
    ------
    InputError : no such encoder, a damaged one, or one that is not recognised and not trusted

    Examples
    --------
    >>> voice = load_voice_encoder("exp/voice")              # doctest: +SKIP
    >>> voice([np.zeros(16000, np.float32) + 1e-3]).shape    # doctest: +SKIP
    (1, 192)
    """
    on = pick_device(device)
    return VoiceEmbedder(load_encoder(str(source), str(on), trust), on, voice_model(source))


class Embedded(NamedTuple):
    """What became of a clip: its vector and measures, or the reason why there are none."""

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
    """Embed every clip of `wav` into archive "embedding"; those that cannot be read are skipped.

    Measures of the sound as it was embedded, and the embedding's length, go to the tables `VOICE_TABLES`. Clips are
    shared among threads, each of which reads, measures and embeds.

    Parameters
    ----------
    wav : utt -> path, or segment of a recording
    seconds : utt -> about how long it lasts (utt2dur); where it is absent the file's header tells
    damage : utt -> what is done to the sound first
    batch_seconds : the most sound in a batch, on a GPU
    track : number of the sound track, see `read_waveform`
    """

    def read(utt: str) -> np.ndarray:
        return read_clip(wav[utt], damage.get(utt), allow_pipes, track)

    def work(utts: list[str]) -> list[Embedded]:
        torch.set_num_threads(1)  # of each of these threads; they are as many as there are cores
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
    """Read some clips and embed those that can be read."""
    sounds, done = {}, []
    for utt in utts:
        try:
            sounds[utt] = read(utt)
        except InputError as error:
            done.append(Embedded(utt, reason=str(error)))
        if sum(map(len, sounds.values())) > 2 * batch_seconds * RATE:  # their lengths were lies
            done += embed_waveforms(embed, sounds)
            sounds = {}
    return done + embed_waveforms(embed, sounds)


def embed_waveforms(embed: VoiceEmbedder, sounds: dict[str, np.ndarray]) -> list[Embedded]:
    vectors = embed(list(sounds.values())) if sounds else ()
    return [Embedded(utt, vector, voice_quality(sounds[utt])) for utt, vector in zip(sounds, vectors, strict=True)]


def note(clip: Embedded, out: ShardWriter) -> None:
    """Write what became of a clip."""
    if clip.vector is None:
        out.skip(clip.utt, clip.reason)
        return
    out.write("embedding", clip.utt, clip.vector)
    for table, value in {**clip.measures, "utt2magnitude": float(np.linalg.norm(clip.vector))}.items():
        out.note(table, clip.utt, value)


def known_lengths(wav: dict[str, Source], seconds: dict[str, float], out: ShardWriter) -> dict[str, float]:
    """About how long each clip lasts; one whose header cannot be read is skipped, a pipe, which has none, goes last."""
    lengths = {}
    for utt, path in wav.items():
        try:
            lengths[utt] = seconds.get(utt) or (float("inf") if is_pipe(path) else guarded(audio_duration, path))
        except InputError as error:
            out.skip(utt, str(error))
    return lengths


def read_clip(path: Source, damage: dict | None, allow_pipes: bool, track: int | None = None) -> np.ndarray:
    """A clip's sound as it is embedded, (n,) float32 at 16 kHz; the parameters are those of `embed_clips`."""
    sound = check_waveform(guarded(read_waveform, path, RATE, allow_pipes, track), path)
    return damage_audio(sound, damage) if damage else sound


def check_waveform(sound: np.ndarray, path: Source) -> np.ndarray:
    """The sound itself; InputError where it is too short to embed, or silent."""
    if len(sound) < SHORTEST * RATE:
        raise InputError(f"{path}: the sound lasts {len(sound) / RATE:.3f} s, less than {SHORTEST} s")
    if not np.any(sound):
        raise InputError(f"{path}: the sound is silent, every sample is 0")
    return sound


def batches_by_length(lengths: dict[str, float], most_seconds: float) -> Iterator[list[str]]:
    """Clips of one length together, shortest first; at most `most_seconds` of sound a batch.

    Codecs and corpora cut clips at whole frames, so that many are of one length: of 64 ms in VoxCeleb2.

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
