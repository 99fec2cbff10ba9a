"""Voice embeddings: sound through a SpeechBrain speaker encoder."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch

from avsv.errors import UserError
from avsv.features.quality import voice_quality
from avsv.features.sound_damage import damage_sound
from avsv.kaldi.shards import ShardWriter
from avsv.media.guard import guarded
from avsv.media.sound import read_part, read_sound, sound_seconds
from avsv.models.device import pick_device
from avsv.models.ecapa import load_encoder
from avsv.progress import progress

RATE = 16000
SHORTEST = 0.1  # seconds; the encoder's widest convolution spans less
LONGEST = 300.0  # seconds; the activations of ECAPA-TDNN's widest layers take memory in proportion
SPREAD = (
    1.02  # longest over shortest sound of a batch: with so little padding an embedding does not depend on its batch
)


def make_voice_embedder(source: str, device: str = "cpu") -> Callable[[list[np.ndarray]], np.ndarray]:
    """A function from sounds, 16 kHz, to embeddings.

    Parameters
    ----------
    source : a SpeechBrain source such as "speechbrain/spkrec-ecapa-voxceleb", or a folder of that form
    device : cpu | cuda

    Returns
    -------
    function : list of (n_i,) float32 of nearly equal length -> (len, d) float32
    """
    encoder = load_encoder(source, str(pick_device(device))).eval()

    def embed(sounds: list[np.ndarray]) -> np.ndarray:
        longest = max(map(len, sounds))
        batch = torch.zeros(len(sounds), longest)
        for row, sound in zip(batch, sounds, strict=True):
            row[: len(sound)] = torch.from_numpy(sound)
        lengths = torch.tensor([len(sound) / longest for sound in sounds])
        with torch.inference_mode():
            return encoder.encode_batch(batch, lengths).squeeze(1).float().cpu().numpy()

    return embed


def embed_clips(
    embed: Callable,
    wav: dict[str, str],
    seconds: dict[str, float],
    damage: dict[str, dict],
    out: ShardWriter,
    batch_seconds: float = 60,
    allow_pipes: bool = False,
) -> None:
    """Embed every clip of `wav` into archive "embedding"; those that cannot be read are skipped.

    Measures of the sound as it was embedded, and the embedding's length, go to the tables `VOICE_TABLES`.

    Parameters
    ----------
    embed : what `make_voice_embedder` gave
    wav : utt -> path
    seconds : utt -> about how long it lasts (utt2dur); where it is absent the file's header tells
    damage : utt -> what is done to the sound first
    batch_seconds : the most sound in a batch
    """
    lengths = {}
    for utt, path in wav.items():
        try:  # a pipe has no header to look at: it goes last, alone
            lengths[utt] = seconds.get(utt) or (float("inf") if path.endswith("|") else guarded(sound_seconds, path))
        except UserError as error:
            out.skip(utt, str(error))
    bar = progress([], "voice embeddings", len(lengths))
    for utts in batches_by_length(lengths, batch_seconds):
        sounds = {}
        for utt in utts:
            try:
                sounds[utt] = read_clip(wav[utt], damage.get(utt), allow_pipes)
            except UserError as error:
                out.skip(utt, str(error))
            if sum(map(len, sounds.values())) > 2 * batch_seconds * RATE:  # their lengths were lies
                embed_sounds(embed, sounds, batch_seconds, out)
                sounds = {}
        embed_sounds(embed, sounds, batch_seconds, out)
        bar.update(len(utts))
    bar.close()


def embed_sounds(embed: Callable, sounds: dict[str, np.ndarray], batch_seconds: float, out: ShardWriter) -> None:
    """Embed sounds in batches of what is really of one length: the lengths known beforehand were hearsay."""
    for batch in batches_by_length({utt: len(sound) / RATE for utt, sound in sounds.items()}, batch_seconds):
        for utt, vector in zip(batch, embed([sounds[utt] for utt in batch]), strict=True):
            out.write("embedding", utt, vector)
            for table, value in voice_quality(sounds[utt]).items():
                out.note(table, utt, value)
            out.note("utt2magnitude", utt, float(np.linalg.norm(vector)))


def read_clip(path: str, damage: dict | None, allow_pipes: bool) -> np.ndarray:
    sound = check_sound(guarded(read_sound, path, RATE, allow_pipes), path)
    return damage_sound(sound, damage, partial(guarded, read_part)) if damage else sound


def check_sound(sound: np.ndarray, path: str) -> np.ndarray:
    """The sound itself; UserError where it is too short or too long to embed, or silent."""
    if len(sound) < SHORTEST * RATE:
        raise UserError(f"{path}: the sound lasts {len(sound) / RATE:.3f} s, less than {SHORTEST} s")
    if len(sound) > LONGEST * RATE:
        raise UserError(
            f"{path}: the sound lasts {len(sound) / RATE:.0f} s, more than {LONGEST:g} s; cut it into pieces"
        )
    if not np.any(sound):
        raise UserError(f"{path}: the sound is silent, every sample is 0")
    return sound


def batches_by_length(lengths: dict[str, float], most_seconds: float) -> Iterator[list[str]]:
    """Clips of nearly equal length together, shortest first; at most `most_seconds` of sound a batch.

    Examples
    --------
    >>> list(batches_by_length({"a": 3.0, "b": 9.0, "c": 3.01}, 60))
    [['a', 'c'], ['b']]
    """
    batch: list[str] = []
    for utt in sorted(lengths, key=lambda utt: (lengths[utt], utt)):
        if batch and (lengths[utt] > SPREAD * lengths[batch[0]] or lengths[utt] * (len(batch) + 1) > most_seconds):
            yield batch
            batch = []
        batch.append(utt)
    if batch:
        yield batch
