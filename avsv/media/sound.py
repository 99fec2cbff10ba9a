"""Sound from files: wav, flac, ogg through libsndfile; m4a, mp4, mpg and the rest through ffmpeg's libraries.

However long a file says it is, and however many channels it has, memory stays at two times MOST_SAMPLES: pieces are
decoded and averaged one after the other.
"""

import io
import os
import struct
import subprocess
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import soundfile

from avsv.errors import UserError
from avsv.kaldi.segments import Segment, Source
from avsv.media.containers import open_container
from avsv.processes import end_with_parent
from avsv.progress import progress

SNDFILE_ENDINGS = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".au", ".sph"}
MOST_SAMPLES = 1 << 26  # of a recording: 70 minutes at 16 kHz, 23 at 48 kHz; 256 MiB
PIECE = 1 << 22  # samples of all channels, decoded at a time
OPEN_END = 0x7FFFF000  # bytes; who writes a wav file to a pipe does not know its size, and says this or more


def read_sound(source: Source, rate: int = 16000, allow_pipes: bool = False) -> np.ndarray:
    """Read a recording, or a segment of one, as mono sound, channels averaged.

    Parameters
    ----------
    source : a path, or Kaldi's `command |` where `allow_pipes`; or a Segment of one of them
    rate : samples a second wanted; other rates are resampled (soxr, high quality)
    allow_pipes : run commands from data files; off by default, for a data file may be anybody's

    Returns
    -------
    (n,) float32, full scale is 1

    Raises
    ------
    UserError : no such file, no sound in it, no samples, NaN or infinite samples, more than MOST_SAMPLES, a wav or flac
        file cut short, a pipe where none is allowed; a segment that is not in its recording
    """
    if isinstance(source, Segment):
        sound, found = kept_recording(source.path, allow_pipes)
        sound = sound[source.samples(found, len(sound))]
    else:
        sound, found = read_recording(source, allow_pipes)
    if not len(sound):
        raise UserError(f"{source}: the sound has no samples")
    if not np.isfinite(sound).all():
        raise UserError(f"{source}: the sound has NaN or infinite samples")
    if found == rate:
        return sound
    if len(sound) * rate > MOST_SAMPLES * found:
        raise too_long(source)
    return resample(sound, found, rate)


def read_recording(source: str, allow_pipes: bool) -> tuple[np.ndarray, int]:
    """Mono sound of a path or `command |`, (n,) float32, and its rate."""
    if source.rstrip().endswith("|"):
        return read_pipe(source.rstrip()[:-1], allow_pipes)
    if Path(source).suffix.lower() in SNDFILE_ENDINGS:
        return read_sndfile(source, source)
    return read_ffmpeg(source)


class Kept(threading.local):
    """The last recording of which a segment was read; segments of one recording follow each other."""

    about: tuple = ()
    sound: np.ndarray | None = None
    rate: int = 0


KEPT = Kept()


def kept_recording(source: str, allow_pipes: bool) -> tuple[np.ndarray, int]:
    """`read_recording`, but the last one is decoded once."""
    file = None if source.rstrip().endswith("|") or not os.path.exists(source) else os.stat(source)
    about = (os.getcwd(), source, allow_pipes, file and (file.st_ino, file.st_size, file.st_mtime_ns))
    if KEPT.about != about:
        KEPT.about, KEPT.sound = (), None  # two recordings need not fit at once
        KEPT.sound, KEPT.rate = read_recording(source, allow_pipes)
        KEPT.about = about
    return KEPT.sound, KEPT.rate


def too_long(name: str) -> UserError:
    return UserError(f"{name}: has more than {MOST_SAMPLES} samples, over an hour at 16 kHz; cut it into pieces")


def resample(sound: np.ndarray, found: int, wanted: int) -> np.ndarray:
    """Change the sample rate; (n,) float32 -> (about n * wanted / found,) float32."""
    import soxr

    return soxr.resample(sound, found, wanted, quality="HQ").astype(np.float32, copy=False)


def read_sndfile(source: str | io.BytesIO, name: str) -> tuple[np.ndarray, int]:
    """Mono sound, (n,) float32, and its rate."""
    if isinstance(source, str) and not Path(source).is_file():  # a named pipe would wait for ever
        raise UserError(f"{name}: {'is no file' if Path(source).exists() else 'there is no such file'}")
    try:
        with soundfile.SoundFile(source) as file:
            declared, rate = file.frames, file.samplerate
            sound = join(name, pieces_of(file))
    except soundfile.LibsndfileError as error:
        raise UserError(f"{name}: cannot be read as sound: {error.error_string}") from None
    if isinstance(source, str):
        share = wav_share(source)
        if share < 1 or len(sound) < declared < MOST_SAMPLES:
            there = f"{100 * share:.0f} % of its data" if share < 1 else f"{len(sound)} of {declared} samples"
            raise UserError(f"{name}: is cut short: {there} are there")
    return sound, rate


def pieces_of(file: soundfile.SoundFile) -> Iterator[np.ndarray]:
    """Mono float32 pieces; channels are averaged. The last one is shorter than was asked for."""
    n_frames = max(1, PIECE // file.channels)
    while True:
        piece = file.read(n_frames, dtype="float32", always_2d=True)
        yield piece[:, 0] if file.channels == 1 else piece.mean(axis=1, dtype=np.float32)
        if len(piece) < n_frames:
            return


def join(name: str, pieces: Iterable[np.ndarray]) -> np.ndarray:
    """The pieces in one array; UserError beyond MOST_SAMPLES."""
    parts, n_samples = [], 0
    for piece in pieces:
        parts.append(piece)
        n_samples += len(piece)
        if n_samples > MOST_SAMPLES:
            raise too_long(name)
    return parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.zeros(0, np.float32)


def wav_share(path: str) -> float:
    """The share of a wav file's data, 0 to 1, that is there; 1 where the file has another form, or its end is open.

    libsndfile takes what there is of a file that was cut off, and does not tell.
    """
    n_bytes = os.path.getsize(path)
    with open(path, "rb") as file:
        if file.read(12)[:4] != b"RIFF":
            return 1.0
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"data":
                return 1.0 if not 0 < size < OPEN_END else min(1.0, (n_bytes - file.tell()) / size)
            file.seek(size + size % 2, os.SEEK_CUR)
    return 1.0


def read_pipe(command: str, allowed: bool) -> tuple[np.ndarray, int]:
    if not allowed:
        raise UserError(f'"{command} |" is a command. If you trust this data directory, add --allow-pipes')
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise UserError(f'"{command}" ended with status {done.returncode} and said: {said[0]}')
    return read_sndfile(io.BytesIO(done.stdout), command)


def read_ffmpeg(source: str) -> tuple[np.ndarray, int]:
    import av

    if not Path(source).is_file():
        raise UserError(f"{source}: there is no such file")
    try:
        with open_container(source) as container:
            if not container.streams.audio:
                raise UserError(f"{source}: there is no sound in it")
            stream = container.streams.audio[0]
            if stream.codec_context is None:
                raise UserError(f"{source}: no decoder is known for its sound")
            return join(source, decode(container, stream)), stream.rate
    except (av.FFmpegError, ValueError) as error:
        raise UserError(f"{source}: cannot be read as sound: {getattr(error, 'strerror', None) or error}") from None


def decode(container, stream) -> Iterator[np.ndarray]:
    """Mono float32 pieces; channels are averaged."""
    for frame in container.decode(stream):
        data = frame.to_ndarray()
        n_channels = len(frame.layout.channels)
        if data.dtype.kind == "i":
            data = data.astype(np.float32) / np.float32(2.0 ** (8 * data.dtype.itemsize - 1))
        elif data.dtype.kind == "u":
            data = (data.astype(np.float32) - 128) / 128
        data = data if frame.format.is_planar else data.reshape(-1, n_channels).T
        yield data.mean(axis=0, dtype=np.float32)


def read_part(path: Source, begin: float, n_samples: int | None, rate: int = 16000) -> np.ndarray:
    """`n_samples` of a recording or segment from `begin` (a share of it, 0-1), going round at its end; None: all.

    Of a file that libsndfile reads at `rate` only that part is decoded: MUSAN's files last many minutes.
    """
    if n_samples is not None and not isinstance(path, Segment) and Path(path).suffix.lower() in SNDFILE_ENDINGS:
        try:
            with soundfile.SoundFile(path) as file:
                if file.samplerate == rate and file.frames >= n_samples:
                    file.seek(start_of(begin, file.frames, n_samples))
                    sound = file.read(n_samples, dtype="float32", always_2d=True)
                    return sound.mean(axis=1, dtype=np.float32)
        except soundfile.LibsndfileError as error:
            raise UserError(f"{path}: cannot be read as sound: {error.error_string}") from None
    return take_part(read_sound(path, rate), begin, n_samples)


def take_part(sound: np.ndarray, begin: float, n_samples: int | None) -> np.ndarray:
    """`n_samples` from `begin` (a share of it), or with None all; a shorter sound is repeated."""
    if n_samples is None:
        return sound
    if len(sound) < n_samples:
        return np.resize(np.roll(sound, -int(begin * len(sound))), n_samples)
    start = start_of(begin, len(sound), n_samples)
    return sound[start : start + n_samples]


def start_of(begin: float, n_there: int, n_wanted: int) -> int:
    """First sample of a part; `begin` may be 1, rounded up from just below."""
    return min(int(begin * (n_there - n_wanted + 1)), n_there - n_wanted)


class SoundStore:
    """Recordings for random crops: as many as fit are kept decoded in memory (16 bits), the rest is read when asked.

    Parameters
    ----------
    paths : in the order of preference
    max_mib : memory for samples; worker processes that are forked later share it
    """

    def __init__(self, paths: list[str], max_mib: float):
        self.kept: dict[str, np.ndarray] = {}
        self.bad: dict[str, str] = {}
        left = max_mib * 2**20
        for path in progress(paths, "reading sound", unit="file"):
            if left <= 0:
                break
            try:
                sound = read_sound(path)
            except UserError as error:
                self.bad[path] = str(error)
                continue
            self.kept[path] = np.round(sound.clip(-1, 1) * 32767).astype(np.int16)
            left -= 2 * len(sound)

    def part(self, path: str, begin: float, n_samples: int | None) -> np.ndarray:
        """As `read_part`."""
        if path not in self.kept:
            return read_part(path, begin, n_samples)
        return take_part(self.kept[path], begin, n_samples).astype(np.float32) / 32767


def sound_seconds(path: Source) -> float:
    """Length of a recording from its header, or of a segment, in seconds; UserError where there is no sound in it."""
    if isinstance(path, Segment):
        return path.seconds(sound_seconds(path.path))
    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such file")
    if Path(path).suffix.lower() in SNDFILE_ENDINGS:
        try:
            return soundfile.info(path).duration
        except soundfile.LibsndfileError as error:
            raise UserError(f"{path}: cannot be read as sound: {error.error_string}") from None
    import av

    try:
        with open_container(path) as container:
            if not container.streams.audio:
                raise UserError(f"{path}: there is no sound in it")
            stream = container.streams.audio[0]
            if stream.duration:
                return float(stream.duration * stream.time_base)
            return (container.duration or 0) / av.time_base
    except av.FFmpegError as error:
        raise UserError(f"{path}: cannot be read as sound: {error.strerror}") from None


def all_seconds(paths: dict[str, str], jobs: int) -> tuple[dict[str, float], dict[str, str]]:
    """Lengths of many recordings, read by `jobs` processes.

    Returns
    -------
    key -> seconds of those that can be read; key -> reason of the others
    """
    with ProcessPoolExecutor(jobs, initializer=end_with_parent) as pool:
        found = pool.map(seconds_or_reason, paths.values(), chunksize=64)
        answers = dict(zip(paths, progress(found, "lengths", len(paths)), strict=True))
    return (
        {key: answer for key, answer in answers.items() if isinstance(answer, float)},
        {key: answer for key, answer in answers.items() if isinstance(answer, str)},
    )


def seconds_or_reason(path: str) -> float | str:
    try:
        return float(sound_seconds(path)) or f"{path}: the sound has no samples"
    except UserError as error:
        return str(error)
