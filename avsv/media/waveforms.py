"""Reading waveforms from files, as one channel at one sample rate; all recordings are read here.

The format is detected from the content, not from the file name. clock.py places the audio on the clock of its
file, channels.py mixes the channels down and scales the samples to full scale 1, and headers.py detects truncated
files. Pieces are decoded, mixed and resampled one after the other, so memory stays at twice MOST_SAMPLES whatever
length and number of channels a file declares.
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
from avsv.media.containers import open_container, time_zero, unreadable
from avsv.media.decoder_process import guarded
from avsv.media.decoding import audio_stream, look, n_tracks, open_sndfile, pieces
from avsv.media.headers import Header

log = logging.getLogger("avsv")
MOST_SAMPLES = 1 << 26  # of a recording at the requested rate: 70 minutes at 16 kHz, 256 MiB
SILENT = 2.0**-15  # highest peak of a silent track
LOUD = 100 * SILENT  # lowest peak of a track that is not silent


class TooLong(InputError):
    """A recording has more samples than avsv keeps in memory."""


def read_waveform(source: Source, rate: int = 16000, allow_pipes: bool = False, track: int | None = None) -> np.ndarray:
    """Read a recording, or a segment of one, as a mono waveform; channels.py explains how channels are mixed.

    Parameters
    ----------
    source : a path, Kaldi's `command |` if `allow_pipes`, or a Segment of either
    rate : wanted sample rate in Hz; other rates are resampled (soxr, high quality)
    allow_pipes : run commands from data files; off by default, because data files may be untrusted
    track : number of the audio track, from 1; None for the file's default track, or the first

    Returns
    -------
    (n,) float32, full scale 1, starting at time 0 of the file (clock.py)

    Raises
    ------
    InputError : the file is absent, truncated or has no audio; no samples, or more than MOST_SAMPLES; samples that are
        NaN, infinite or of unknown scale; the default track is silent but another is not; a pipe is not allowed; or a
        segment lies outside its recording
    """
    if not isinstance(source, Segment):
        return read_recording(source, rate, allow_pipes, track)[0]
    if (span := read_span(source)) is not None:
        waveform, file_rate = span
    else:
        try:
            waveform, file_rate = kept_recording(source, rate, allow_pipes, track)
            waveform = waveform[source.samples(file_rate, len(waveform))]
        except TooLong:
            waveform, file_rate = read_window(source, allow_pipes, track)
    return waveform if file_rate == rate else resample(waveform, file_rate, rate)


def read_recording(
    source: str, rate: int | None, allow_pipes: bool, track: int | None, channel: int | None = None
) -> tuple[np.ndarray, int]:
    """Mono waveform of a path or `command |`, (n,) float32, and its sample rate: `rate`, or the file's if None."""
    content: str | bytes = source
    name = source
    if source.rstrip().endswith("|"):
        name = source.rstrip()[:-1]
        content = read_pipe(name, allow_pipes)
    header = look(content, name)
    waveform, rate, mixer = mix(content, name, header, rate, track, channel)
    if channel is None and (loudest := mixer.cancelling()) is not None:
        log.warning("%s: its channels cancel each other; using channel %d alone", name, loudest + 1)
        waveform, rate, _ = mix(content, name, header, rate, track, loudest)
    if not len(waveform):
        raise InputError(f"{name}: the recording has no samples")
    if not np.isfinite(waveform).all():
        raise InputError(f"{name}: the recording has NaN or infinite samples")
    scale = mixer.scale(name)
    if header.odd:
        log.warning("%s: %s; reading the file to its end", name, header.odd)
    if mixer.peak <= SILENT and track is None and header.reader == "ffmpeg":
        refuse_silent_track(content, name, header)
    return (waveform if scale == 1 else waveform / np.float32(scale)), rate


def mix(
    content: str | bytes, name: str, header: Header, rate: int | None, track: int | None, channel: int | None = None
) -> tuple[np.ndarray, int, Mixer]:
    """Decode a recording to one channel: the mean of its channels, or number `channel`, from 0.

    Returns
    -------
    (n,) float32 ; its sample rate ; the Mixer with the statistics of the channels
    """
    parts: list[np.ndarray] = []
    mixer, resampler, n_decoded, n_samples = None, None, 0, 0
    for file_rate, piece in pieces(content, name, header, track):
        if mixer is None:
            mixer = Mixer(file_rate)
            if rate is None:
                rate = file_rate
            elif file_rate != rate:
                resampler = soxr.ResampleStream(file_rate, rate, 1, "float32", "HQ")
        n_decoded += len(piece)
        mixed = mixer.mix(piece)
        if channel is not None:
            mixed = one_channel(piece, channel, name)
        parts.append(resampler.resample_chunk(mixed) if resampler else mixed)
        n_samples += len(parts[-1])
        if n_samples > MOST_SAMPLES:
            raise TooLong(f"{name}: has more than {MOST_SAMPLES} samples, over an hour at 16 kHz; cut it into pieces")
    if n_decoded < header.samples:
        raise InputError(f"{name}: is truncated: it has {n_decoded} of {header.samples} samples")
    if mixer is None:
        raise InputError(f"{name}: the recording has no samples")
    if resampler:
        parts.append(resampler.resample_chunk(np.zeros(0, np.float32), last=True))
    return parts[0] if len(parts) == 1 else np.concatenate(parts), rate, mixer


def one_channel(piece: np.ndarray, channel: int, name: str) -> np.ndarray:
    """Column `channel`, from 0, of (n, channels) samples; raises InputError if it does not exist."""
    if channel >= piece.shape[1]:
        raise InputError(f"{name}: channel {channel} does not exist; it has {piece.shape[1]}, counted from 0")
    return np.ascontiguousarray(piece[:, channel])


def read_span(segment: Segment) -> tuple[np.ndarray, int] | None:
    """Waveform and sample rate of a segment, without decoding the rest of its recording.

    Works for mono integer files that libsndfile reads. Any other file gives None, because channels and scale are
    decided over the whole recording.
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
        waveform = file.read(span.stop - span.start, dtype="float32")
        return (waveform, file.samplerate) if len(waveform) == span.stop - span.start else None


def read_window(segment: Segment, allow_pipes: bool, track: int | None, channel: int = MIXED) -> tuple[np.ndarray, int]:
    """Read a segment of a recording that is too long for memory: decode up to the segment's end, keep the segment."""
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
        mixed = mixer.mix(part)
        parts.append(mixed if channel == MIXED else one_channel(part, channel, name))
        n_kept += len(part)
        if n_kept > MOST_SAMPLES:
            raise TooLong(f"{segment}: has more than {MOST_SAMPLES} samples; cut it into shorter segments")
        n_before += len(piece)
        if n_before >= end * rate:
            break
    segment.samples(rate, n_before)
    if channel == MIXED and (loudest := mixer.cancelling()) is not None:
        log.warning("%s: its channels cancel each other; using channel %d alone", segment, loudest + 1)
        return read_window(segment, allow_pipes, track, loudest)
    waveform, scale = np.concatenate(parts), mixer.scale(name)
    if not np.isfinite(waveform).all():
        raise InputError(f"{segment}: the segment has NaN or infinite samples")
    return (waveform if scale == 1 else waveform / np.float32(scale)), rate


def is_plain(file) -> bool:
    """Whether a file opened by libsndfile has one channel of integers."""
    return file.channels == 1 and file.subtype.startswith("PCM")


class Kept(threading.local):
    """Cache of one recording: segments of the same recording usually follow each other."""

    key: tuple = ()
    waveform: np.ndarray | None = None
    rate: int = 0


KEPT = Kept()


def kept_recording(segment: Segment, rate: int, allow_pipes: bool, track: int | None) -> tuple[np.ndarray, int]:
    """Waveform of a segment's recording, and its sample rate; the last recording stays decoded in memory.

    The rate is the file's own, since Kaldi cuts before it resamples, or `rate` if the recording would be too long.
    """
    file = None if is_pipe(segment) or not os.path.exists(segment.path) else os.stat(segment.path)
    key = (os.getcwd(), segment.path, segment.channel, rate, allow_pipes, track,
           file and (file.st_ino, file.st_size, file.st_mtime_ns))  # fmt: skip
    if KEPT.key != key:
        KEPT.key, KEPT.waveform = (), None  # frees memory: two recordings may not fit
        rest = allow_pipes, track, None if segment.channel == MIXED else segment.channel
        try:
            KEPT.waveform, KEPT.rate = read_recording(segment.path, None, *rest)
        except TooLong:
            KEPT.waveform, KEPT.rate = read_recording(segment.path, rate, *rest)
        KEPT.key = key
    return KEPT.waveform, KEPT.rate


def refuse_silent_track(content: str | bytes, name: str, header: Header) -> None:
    """Raise InputError if the file's default track is silent but another track is not."""
    if header.content is not None:
        return
    n, used = n_tracks(content)
    for track in range(1, n + 1):
        if track != used and any(len(p) and np.abs(p).max() > LOUD for _, p in pieces(content, name, header, track)):
            raise InputError(f"{name}: audio track {used} of {n} is silent, but track {track} is not; "
                            f"select it with `audio_track` {track}")  # fmt: skip


def resample(waveform: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Resample from `rate` to `wanted`; (n,) float32 -> (about n * wanted / rate,) float32."""
    return soxr.resample(waveform, rate, wanted, quality="HQ").astype(np.float32, copy=False)


def read_pipe(command: str, allowed: bool) -> bytes:
    if not allowed:
        raise InputError(f'"{command} |" is a command, which runs only with `allow_pipes`, for data that you trust')
    done = subprocess.run(["bash", "-c", command], capture_output=True, check=False, preexec_fn=end_with_parent)
    if done.returncode:
        (message,) = done.stderr.decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise InputError(f'"{command}" failed with status {done.returncode}: {message}')
    return done.stdout


def read_part(
    path: Source, begin: float, n_samples: int | None, rate: int = 16000, allow_pipes: bool = False
) -> np.ndarray:
    """Read a part of a recording or segment.

    Only the part itself is decoded if it belongs to a mono integer file that libsndfile reads at `rate`, since MUSAN's
    files last many minutes. Any other file is decoded whole, because channels and scale are decided over the whole.

    Parameters
    ----------
    begin : start of the part, as a fraction (0 to 1) of the possible starts
    n_samples : length of the part; a shorter recording is repeated; None for the whole recording

    Returns
    -------
    (n_samples,) float32 at `rate`
    """
    if n_samples is not None and not isinstance(path, Segment) and not is_pipe(path):
        header = look(path, path)
        if header.reader == "libsndfile":
            with open_sndfile(path, path, header) as file:
                if is_plain(file) and file.samplerate == rate and file.frames >= n_samples:
                    file.seek(start_of(begin, file.frames, n_samples))
                    waveform = file.read(n_samples, dtype="float32")
                    if len(waveform) == n_samples:
                        return waveform
    return take_part(read_waveform(path, rate, allow_pipes), begin, n_samples)


def take_part(waveform: np.ndarray, begin: float, n_samples: int | None) -> np.ndarray:
    """Cut `n_samples` out of a waveform, see `read_part`."""
    if n_samples is None:
        return waveform
    if len(waveform) < n_samples:
        return np.resize(np.roll(waveform, -int(begin * len(waveform))), n_samples)
    start = start_of(begin, len(waveform), n_samples)
    return waveform[start : start + n_samples]


def start_of(begin: float, n_samples: int, n_wanted: int) -> int:
    """First sample of a part; `begin` may have been rounded up to 1."""
    return min(int(begin * (n_samples - n_wanted + 1)), n_samples - n_wanted)


class WaveformStore:
    """Recordings for random crops: as many as fit are kept decoded in memory (16 bits), the others are read on demand.

    Parameters
    ----------
    paths : recordings, the most important ones first
    max_mib : memory for samples; worker processes forked later share it
    allow_pipes : run commands, see `read_waveform`
    """

    def __init__(self, paths: list[str], max_mib: float, allow_pipes: bool = False):
        self.allow_pipes = allow_pipes
        self.kept: dict[str, tuple[np.ndarray, float]] = {}  # 16-bit samples, and their quantisation step
        self.bad: dict[str, str] = {}  # path -> why it cannot be read
        left = max_mib * 2**20
        for path in progress(paths, "reading waveforms", unit="file"):
            if left <= 0:
                break
            try:
                waveform = guarded(read_waveform, path, 16000, allow_pipes)
            except InputError as error:
                self.bad[path] = str(error)
                continue
            step = max(1.0, float(np.abs(waveform).max())) / 32767  # floats may exceed full scale
            self.kept[path] = np.round(waveform / step).astype(np.int16), step
            left -= 2 * len(waveform)

    def part(self, path: str, begin: float, n_samples: int | None) -> np.ndarray:
        """See `read_part`."""
        if path not in self.kept:
            return guarded(read_part, path, begin, n_samples, 16000, self.allow_pipes)
        waveform, step = self.kept[path]
        return take_part(waveform, begin, n_samples) * np.float32(step)


def audio_duration(path: Source) -> float:
    """Duration in seconds of a segment, or of a recording by its header.

    Raises
    ------
    InputError : the file is absent or truncated, or has no audio
    """
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
            # these give the end time of the last packet, not the duration
            return seconds - (time_zero(container) if container.format.name in ("matroska,webm", "nut") else 0)
    except (av.FFmpegError, ValueError) as error:
        raise unreadable(path, "audio", error) from None


def audio_durations(paths: dict[str, str], jobs: int) -> tuple[dict[str, float], dict[str, str]]:
    """Durations of many recordings, read by `jobs` processes.

    Returns
    -------
    key -> seconds, of readable recordings ; key -> reason, of the others
    """
    with ProcessPoolExecutor(jobs, initializer=end_with_parent) as pool:
        durations = pool.map(duration_or_reason, paths.values(), chunksize=64)
        answers = dict(zip(paths, progress(durations, "durations", len(paths)), strict=True))
    return (
        {key: answer for key, answer in answers.items() if isinstance(answer, float)},
        {key: answer for key, answer in answers.items() if isinstance(answer, str)},
    )


def duration_or_reason(path: str) -> float | str:
    try:
        return guarded(audio_duration, path) or f"{path}: the recording has no samples"
    except InputError as error:
        return str(error)
