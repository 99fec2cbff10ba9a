"""Sound from files, as one channel at one rate: the one place where recordings are read.

A file is taken for what its content says, whatever its name. Its sound is on the clock of clock.py, its channels
become one and its samples are brought to full scale 1 as channels.py says, and headers.py tells what is cut short.
However long a file says it is, and however many channels it has, memory stays at two times MOST_SAMPLES: pieces are
decoded, averaged and resampled one after the other.
"""

import logging
import os
import subprocess
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import soxr

from avsv.errors import InputError
from avsv.jobs.processes import end_with_parent
from avsv.jobs.progress import progress
from avsv.kaldi.segments import MIXED, TO_THE_END, Segment, Source, is_pipe
from avsv.media.channels import Mixer
from avsv.media.containers import open_container, time_zero
from avsv.media.decoder_process import guarded
from avsv.media.decoding import audio_stream, look, n_tracks, open_sndfile, pieces
from avsv.media.headers import Header

log = logging.getLogger("avsv")
MOST_SAMPLES = 1 << 26  # of a recording at the rate that is asked for: 70 minutes at 16 kHz; 256 MiB
SILENT = 2.0**-15  # peak of a track with nothing in it
LOUD = 100 * SILENT


class TooLong(InputError):
    """More samples than are kept in memory."""


def read_waveform(source: Source, rate: int = 16000, allow_pipes: bool = False, track: int | None = None) -> np.ndarray:
    """Read a recording, or a segment of one, as mono sound; channels are averaged, see channels.py.

    Parameters
    ----------
    source : a path, or Kaldi's `command |` where `allow_pipes`; or a Segment of one of them
    rate : samples a second wanted; other rates are resampled (soxr, high quality)
    allow_pipes : run commands from data files; off by default, for a data file may be anybody's
    track : number of the sound track, from 1; None for the one that the file says is the default, or else the first

    Returns
    -------
    (n,) float32, full scale is 1, from time 0 of the file on (clock.py)

    Raises
    ------
    InputError : no such file, no sound in it, no samples, NaN or infinite samples, or without a scale, more than
        MOST_SAMPLES, a file cut short, a silent track beside others, a pipe where none is allowed; a segment that is
        not in its recording
    """
    if not isinstance(source, Segment):
        return read_recording(source, rate, allow_pipes, track)[0]
    if (span := read_span(source)) is not None:
        sound, found = span
    else:
        try:
            sound, found = kept_recording(source, rate, allow_pipes, track)
            sound = sound[source.samples(found, len(sound))]
        except TooLong:
            sound, found = read_window(source, allow_pipes, track)
    return sound if found == rate else resample(sound, found, rate)


def read_recording(
    source: str, rate: int | None, allow_pipes: bool, track: int | None, channel: int | None = None
) -> tuple[np.ndarray, int]:
    """Mono sound of a path or `command |`, (n,) float32, and its rate: `rate`, or the file's where that is None."""
    content: str | bytes = source
    name = source
    if source.rstrip().endswith("|"):
        name = source.rstrip()[:-1]
        content = read_pipe(name, allow_pipes)
    header = look(content, name)
    sound, found, mixer = mix(content, name, header, rate, track, channel)
    if channel is None and (loudest := mixer.cancelling()) is not None:
        log.warning("%s: its channels cancel each other; channel %d alone is used", name, loudest + 1)
        sound, found, _ = mix(content, name, header, rate, track, loudest)
    if not len(sound):
        raise InputError(f"{name}: the sound has no samples")
    if not np.isfinite(sound).all():
        raise InputError(f"{name}: the sound has NaN or infinite samples")
    scale = mixer.scale(name)
    if header.odd:
        log.warning("%s: %s; it is read to its end", name, header.odd)
    if mixer.peak <= SILENT and track is None and header.reader == "ffmpeg":
        refuse_silent_track(content, name, header)
    return (sound if scale == 1 else sound / np.float32(scale)), found


def mix(
    content: str | bytes, name: str, header: Header, rate: int | None, track: int | None, channel: int | None = None
) -> tuple[np.ndarray, int, Mixer]:
    """The mean of the channels, or one of them (from 0), (n,) float32; its rate; and what was seen of the channels."""
    parts: list[np.ndarray] = []
    mixer, resampler, n_found, n_samples = None, None, 0, 0
    for found, piece in pieces(content, name, header, track):
        if mixer is None:
            mixer = Mixer(found)
            if rate is None:
                rate = found
            elif found != rate:
                resampler = soxr.ResampleStream(found, rate, 1, "float32", "HQ")
        n_found += len(piece)
        mixed = mixer.mix(piece)
        if channel is not None:
            if channel >= piece.shape[1]:
                raise InputError(f"{name}: there is no channel {channel}; it has {piece.shape[1]}, counted from 0")
            mixed = np.ascontiguousarray(piece[:, channel])
        parts.append(resampler.resample_chunk(mixed) if resampler else mixed)
        n_samples += len(parts[-1])
        if n_samples > MOST_SAMPLES:
            raise TooLong(f"{name}: has more than {MOST_SAMPLES} samples, over an hour at 16 kHz; cut it into pieces")
    if n_found < header.samples:
        raise InputError(f"{name}: is cut short: {n_found} of {header.samples} samples are there")
    if mixer is None:
        raise InputError(f"{name}: the sound has no samples")
    if resampler:
        parts.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    return parts[0] if len(parts) == 1 else np.concatenate(parts), rate, mixer


def read_span(segment: Segment) -> tuple[np.ndarray, int] | None:
    """The samples of a segment and their rate, without decoding the rest of its recording.

    None but for mono files of integers that libsndfile reads: of others the whole tells what becomes of channels and
    scale.
    """
    if is_pipe(segment):
        return None
    header = look(segment.path, segment.path)
    if header.reader != "libsndfile" or header.content is not None:
        return None
    with open_sndfile(segment.path, segment.path, header) as file:
        if not is_plain(file) or file.frames < header.samples or segment.channel not in (MIXED, 0):
            return None
        span = segment.samples(file.samplerate, file.frames)
        file.seek(span.start)
        sound = file.read(span.stop - span.start, dtype="float32")
        return (sound, file.samplerate) if len(sound) == span.stop - span.start else None


def read_window(segment: Segment, allow_pipes: bool, track: int | None, channel: int = MIXED) -> tuple[np.ndarray, int]:
    """A segment of a recording that is too long to be kept: decoded up to the segment's end, the rest dropped."""
    name, content = segment.path, segment.path
    if is_pipe(segment):
        name = segment.path.rstrip()[:-1]
        content = read_pipe(name, allow_pipes)
    header, channel = look(content, name), max(channel, segment.channel)
    parts, mixer, rate, n_before, n_kept = [], None, 0, 0, 0
    end = float("inf") if segment.end == TO_THE_END else segment.end
    for rate, piece in pieces(content, name, header, track):
        mixer = mixer or Mixer(rate)
        first, last = round(segment.start * rate) - n_before, end * rate - n_before
        part = piece[max(0, first) : max(0, round(min(last, len(piece))))]
        if channel >= piece.shape[1]:
            raise InputError(f"{name}: there is no channel {channel}; it has {piece.shape[1]}, counted from 0")
        mixed = mixer.mix(part)
        parts.append(mixed if channel == MIXED else np.ascontiguousarray(part[:, channel]))
        n_kept += len(part)
        if n_kept > MOST_SAMPLES:
            raise TooLong(f"{segment}: has more than {MOST_SAMPLES} samples; cut it into shorter segments")
        n_before += len(piece)
        if n_before >= end * rate:
            break
    segment.samples(rate, n_before)
    if channel == MIXED and (loudest := mixer.cancelling()) is not None:
        log.warning("%s: its channels cancel each other; channel %d alone is used", segment, loudest + 1)
        return read_window(segment, allow_pipes, track, loudest)
    sound, scale = np.concatenate(parts), mixer.scale(name)
    if not np.isfinite(sound).all():
        raise InputError(f"{segment}: the sound has NaN or infinite samples")
    return (sound if scale == 1 else sound / np.float32(scale)), rate


def is_plain(file) -> bool:
    """Whether a file that libsndfile has opened is of one channel of integers."""
    return file.channels == 1 and file.subtype.startswith("PCM")


class Kept(threading.local):
    """The last recording of which a segment was read; segments of one recording follow each other."""

    about: tuple = ()
    sound: np.ndarray | None = None
    rate: int = 0


KEPT = Kept()


def kept_recording(segment: Segment, rate: int, allow_pipes: bool, track: int | None) -> tuple[np.ndarray, int]:
    """The sound of a segment's recording, and its rate; the last one is decoded once.

    The rate is the file's, since Kaldi cuts before it resamples; or `rate` where the recording would be too long.
    """
    file = None if is_pipe(segment) or not os.path.exists(segment.path) else os.stat(segment.path)
    about = (os.getcwd(), segment.path, segment.channel, rate, allow_pipes, track,
             file and (file.st_ino, file.st_size, file.st_mtime_ns))  # fmt: skip
    if KEPT.about != about:
        KEPT.about, KEPT.sound = (), None  # two recordings need not fit at once
        rest = allow_pipes, track, None if segment.channel == MIXED else segment.channel
        try:
            KEPT.sound, KEPT.rate = read_recording(segment.path, None, *rest)
        except TooLong:
            KEPT.sound, KEPT.rate = read_recording(segment.path, rate, *rest)
        KEPT.about = about
    return KEPT.sound, KEPT.rate


def refuse_silent_track(content: str | bytes, name: str, header: Header) -> None:
    """InputError where a file whose default track is silent has others that are not."""
    if header.content is not None:
        return
    n, used = n_tracks(content)
    for track in range(1, n + 1):
        if track != used and any(len(p) and np.abs(p).max() > LOUD for _, p in pieces(content, name, header, track)):
            raise InputError(f"{name}: sound track {used} of {n} is silent, and track {track} is not; add "
                            f"--audio-track {track}")  # fmt: skip


def resample(sound: np.ndarray, found: int, wanted: int) -> np.ndarray:
    """Change the sample rate; (n,) float32 -> (about n * wanted / found,) float32."""
    return soxr.resample(sound, found, wanted, quality="HQ").astype(np.float32, copy=False)


def read_pipe(command: str, allowed: bool) -> bytes:
    if not allowed:
        raise InputError(f'"{command} |" is a command. If you trust this data directory, add --allow-pipes')
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, preexec_fn=end_with_parent)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["nothing"]
        raise InputError(f'"{command}" ended with status {done.returncode} and said: {said[0]}')
    return done.stdout


def read_part(
    path: Source, begin: float, n_samples: int | None, rate: int = 16000, allow_pipes: bool = False
) -> np.ndarray:
    """`n_samples` of a recording or segment from `begin` (a share of it, 0-1), going round at its end; None: all.

    Of a mono file of integers that libsndfile reads at `rate` only that part is decoded: MUSAN's files last many
    minutes. Of others the whole tells what becomes of channels and scale.
    """
    if n_samples is not None and not isinstance(path, Segment) and not is_pipe(path):
        header = look(path, path)
        if header.reader == "libsndfile":
            with open_sndfile(path, path, header) as file:
                if is_plain(file) and file.samplerate == rate and file.frames >= n_samples:
                    file.seek(start_of(begin, file.frames, n_samples))
                    sound = file.read(n_samples, dtype="float32")
                    if len(sound) == n_samples:
                        return sound
    return take_part(read_waveform(path, rate, allow_pipes), begin, n_samples)


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


class WaveformStore:
    """Recordings for random crops: as many as fit are kept decoded in memory (16 bits), the rest is read when asked.

    Parameters
    ----------
    paths : in the order of preference
    max_mib : memory for samples; worker processes that are forked later share it
    allow_pipes : run commands, see `read_waveform`
    """

    def __init__(self, paths: list[str], max_mib: float, allow_pipes: bool = False):
        self.allow_pipes = allow_pipes
        self.kept: dict[str, tuple[np.ndarray, float]] = {}  # samples, and what one step of them is
        self.bad: dict[str, str] = {}
        left = max_mib * 2**20
        for path in progress(paths, "reading sound", unit="file"):
            if left <= 0:
                break
            try:
                sound = guarded(read_waveform, path, 16000, allow_pipes)
            except InputError as error:
                self.bad[path] = str(error)
                continue
            step = max(1.0, float(np.abs(sound).max())) / 32767  # floats may go beyond full scale
            self.kept[path] = np.round(sound / step).astype(np.int16), step
            left -= 2 * len(sound)

    def part(self, path: str, begin: float, n_samples: int | None) -> np.ndarray:
        """As `read_part`."""
        if path not in self.kept:
            return guarded(read_part, path, begin, n_samples, 16000, self.allow_pipes)
        sound, step = self.kept[path]
        return take_part(sound, begin, n_samples) * np.float32(step)


def audio_duration(path: Source) -> float:
    """Seconds of a recording by its header, or of a segment; InputError where it has no sound, or is cut short."""
    if isinstance(path, Segment):
        return path.seconds(audio_duration(path.path))
    header = look(path, path)
    if header.reader == "libsndfile":
        with open_sndfile(path, path, header) as file:
            return file.frames / file.samplerate
    import av

    try:
        with open_container(path) as container:
            stream = audio_stream(container, path)
            if stream.duration:
                begin = float((stream.start_time or 0) * stream.time_base) - time_zero(container)
                return max(0.0, begin) + float(stream.duration * stream.time_base)
            seconds = (container.duration or 0) / av.time_base
            # these tell when their last packet ends, and not how long they last
            return seconds - (time_zero(container) if container.format.name in ("matroska,webm", "nut") else 0)
    except (av.FFmpegError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as sound: {getattr(error, 'strerror', None) or error}") from None


def audio_durations(paths: dict[str, str], jobs: int) -> tuple[dict[str, float], dict[str, str]]:
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
        return guarded(audio_duration, path) or f"{path}: the sound has no samples"
    except InputError as error:
        return str(error)
