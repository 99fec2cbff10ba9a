"""Decoding audio in pieces, on the clock of its container: libsndfile reads audio files, ffmpeg everything else.

Sample k is heard k / rate seconds after time 0 of the file; see clock.py.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import soundfile

from avsv.errors import InputError
from avsv.jobs.inputs import regular_file
from avsv.media.clock import Clock
from avsv.media.containers import open_container, time_zero, unreadable
from avsv.media.headers import Header, read_header

PIECE = 1 << 22  # samples, over all channels, that are decoded at a time
GATHERED = 1 << 16  # samples; ffmpeg's short frames are joined up to this length
Piece = tuple[int, np.ndarray]  # sample rate in Hz ; (n, channels) float32, full scale 1


@contextmanager
def opened(source: str | bytes, name: str) -> Iterator[tuple[BinaryIO, int]]:
    """A file, or the output of a pipe, and its size in bytes; raises InputError if it cannot be opened."""
    if isinstance(source, bytes):
        yield io.BytesIO(source), len(source)
        return
    try:
        with open(regular_file(source), "rb") as file:
            yield file, os.fstat(file.fileno()).st_size
    except (FileNotFoundError, NotADirectoryError):
        raise InputError(f"{name}: no such file") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def look(source: str | bytes, name: str) -> Header:
    """Read the header of an audio file; raises InputError if the file is absent, empty or truncated."""
    with opened(source, name) as (file, n_bytes):
        header = read_header(file, n_bytes)
    if header.cut:
        raise InputError(f"{name}: cannot be read as audio, the file is truncated: {header.cut}")
    return header


def pieces(source: str | bytes, name: str, header: Header, track: int | None = None) -> Iterator[Piece]:
    """Decode a recording piece by piece.

    Parameters
    ----------
    source : a path, or the content of a file
    name : name of the recording in messages
    track : number of the audio track, from 1; None for the file's default track, or the first
    """
    if header.content is not None:
        with opened(source, name) as (file, _):
            file.seek(header.content[0])
            source = file.read(header.content[1] - header.content[0])
    if header.reader == "libsndfile":
        if track not in (None, 1):
            raise InputError(f"{name}: audio track {track} does not exist; the file has 1")
        yield from sndfile_pieces(source, name, header)
    else:
        yield from ffmpeg_pieces(source, name, track)


class Patched(io.RawIOBase):
    """A file with some bytes of its header replaced, because libsndfile trusts every header."""

    def __init__(self, file: BinaryIO, n_bytes: int, patches: dict[int, bytes]):
        super().__init__()
        self.file, self.patches = file, patches
        self.n_bytes, self.place = n_bytes, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.place = offset + (0, self.place, self.n_bytes)[whence]
        return self.place

    def tell(self) -> int:
        return self.place

    def readinto(self, buffer) -> int:
        self.file.seek(self.place)
        data = bytearray(self.file.read(len(buffer)))
        for place, patch in self.patches.items():
            for offset, byte in enumerate(patch, place - self.place):
                if 0 <= offset < len(data):
                    data[offset] = byte
        buffer[: len(data)] = data
        self.place += len(data)
        return len(data)


@contextmanager
def open_sndfile(source: str | bytes, name: str, header: Header) -> Iterator[soundfile.SoundFile]:
    """Open a file with libsndfile, its header corrected; read errors, also in the block, become InputError."""
    try:
        with opened(source, name) as (file, n_bytes):
            # the absolute path, because libsndfile takes "-" for standard input
            whole = isinstance(source, str) and not header.patches
            place = os.path.abspath(source) if whole else Patched(file, n_bytes, header.patches)
            with soundfile.SoundFile(place) as sndfile:
                yield sndfile
    except soundfile.LibsndfileError as error:
        raise InputError(f"{name}: cannot be read as audio: {error.error_string}") from None


def sndfile_pieces(source: str | bytes, name: str, header: Header) -> Iterator[Piece]:
    n_samples = 0
    with open_sndfile(source, name, header) as file:
        n_frames = max(1, PIECE // file.channels)
        while True:
            piece = file.read(n_frames, dtype="float32", always_2d=True)
            n_samples += len(piece)
            yield file.samplerate, piece
            if len(piece) < n_frames:
                break
        if n_samples < file.frames < 1 << 32:  # flac files that were written to a pipe claim more
            raise InputError(f"{name}: is truncated: it has {n_samples} of {file.frames} samples")


def audio_stream(container, name: str, track: int | None = None):
    """The stream of an audio track, see `pieces`; raises InputError if it does not exist or has no decoder."""
    from av.stream import Disposition

    streams = container.streams.audio
    if not streams:
        raise InputError(f"{name}: has no audio")
    if track is not None and not 1 <= track <= len(streams):
        raise InputError(f"{name}: audio track {track} does not exist; the file has {len(streams)}")
    default = next((stream for stream in streams if stream.disposition & Disposition.default), streams[0])
    stream = streams[track - 1] if track is not None else default
    if stream.codec_context is None:
        raise InputError(f"{name}: its audio codec is not supported")
    return stream


def n_tracks(source: str | bytes) -> tuple[int, int]:
    """Number of audio tracks in a file, and the number, from 1, of the track that is read by default."""
    with open_container(io.BytesIO(source) if isinstance(source, bytes) else source) as container:
        return len(container.streams.audio), 1 + container.streams.audio.index(audio_stream(container, ""))


def ffmpeg_pieces(source: str | bytes, name: str, track: int | None) -> Iterator[Piece]:
    import av

    try:
        with open_container(io.BytesIO(source) if isinstance(source, bytes) else source) as container:
            stream = audio_stream(container, name, track)
            seconds = container.duration / av.time_base if container.duration else float("inf")
            clock = Clock(name, time_zero(container), seconds)
            gathered, n_samples, rate = [], 0, 0
            for frame in container.decode(stream):
                rate = rate or frame.rate
                if frame.rate != rate:
                    raise InputError(f"{name}: the sample rate changes from {rate} to {frame.rate}; convert it first")
                for part in clock.place(frame, samples_of(frame)):
                    if gathered and (n_samples > GATHERED or part.shape[1] != gathered[0].shape[1]):
                        yield rate, np.concatenate(gathered)
                        gathered, n_samples = [], 0
                    gathered.append(part)
                    n_samples += len(part)
            if gathered:
                yield rate, np.concatenate(gathered)
            clock.report()
    except (av.FFmpegError, ValueError) as error:
        raise unreadable(name, "audio", error) from None


def samples_of(frame) -> np.ndarray:
    """Samples of a decoded frame, (n, channels) float32."""
    data = frame.to_ndarray()
    if data.dtype.kind == "i":
        data = data.astype(np.float32) / np.float32(2.0 ** (8 * data.dtype.itemsize - 1))
    elif data.dtype.kind == "u":
        data = (data.astype(np.float32) - 128) / 128
    data = data.T if frame.format.is_planar else data.reshape(-1, len(frame.layout.channels))
    return data.astype(np.float32, copy=False)
