"""Kaldi's `segments`: utterances that are parts of longer recordings, `utterance recording start end [channel]`.

If a data directory has this file, the keys of its wav.scp are recordings. The rules are those of Kaldi's
extract-segments: times in seconds; an end of -1, or up to 0.5 s after the recording's end, means the recording's end;
segments shorter than 0.1 s are invalid. Segments cut audio; videos are not cut.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from avsv.errors import InputError
from avsv.kaldi.columns import SPACE, Block, bad_line
from avsv.kaldi.decimals import read_decimals
from avsv.kaldi.keyed import KeyedTable, read_keyed, rows_of, strings

SHAPE = "utterance recording start end [channel]"
TO_THE_END = -1.0
OVERSHOOT = 0.5  # seconds by which an end may exceed the recording
SHORTEST = 0.1  # seconds
ROUNDING = 1e-6  # seconds: 0.3 - 0.2 is a little less than 0.1
MIXED, NO_CHANNEL = -1, -2  # channel: all of them, averaged; invalid text
MOST_CHANNELS = 256
ROWS = 1 << 12  # lines cut at a time: they stay in the processor's cache


class Segment(NamedTuple):
    """A part of a recording; takes the place of a waveform's path.

    path : of the recording, or Kaldi's `command |`
    start, end : seconds; an end of -1 is the recording's
    channel : counted from 0; -1 for all channels, averaged as in any recording
    recording : its name in wav.scp
    """

    path: str
    start: float
    end: float = TO_THE_END
    channel: int = MIXED
    recording: str = ""

    def __str__(self) -> str:
        return f"{self.path} ({self.start} s to {'the end' if self.end == TO_THE_END else f'{self.end} s'})"

    def seconds(self, whole: float) -> float:
        """Length in seconds, in a recording of `whole` seconds."""
        return min(whole, whole if self.end == TO_THE_END else self.end) - self.start

    def samples(self, rate: int, n_samples: int) -> slice:
        """Its samples in a recording of `n_samples`, by the rules of extract-segments.

        Raises
        ------
        InputError : it begins after the recording's end, ends more than 0.5 s after it, or is shorter than 0.1 s

        Examples
        --------
        >>> Segment("a.wav", 0.5, 1.2).samples(100, 110)
        slice(50, 110, None)
        """
        start = round(self.start * rate)
        end = n_samples if self.end == TO_THE_END else round(self.end * rate)
        if start >= n_samples or end >= n_samples + round(OVERSHOOT * rate):
            raise InputError(f"{self}: the recording lasts {n_samples / rate:g} s; correct the segments")
        end = min(end, n_samples)
        if end - start < round(SHORTEST * rate):
            raise InputError(f"{self}: lasts {(end - start) / rate:g} s, less than {SHORTEST} s")
        return slice(start, end)


Source = str | Segment


@dataclass(frozen=True)
class SegmentTable:
    """A `segments` file as arrays, one row per valid line, in the file's order.

    table : the file's keys (utterances) and lines; `bad` has the malformed lines
    recordings : (n,) byte strings
    starts, ends : (n,) float64 seconds
    channels : (n,) int64, -1 if none is given
    """

    table: KeyedTable
    recordings: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    channels: np.ndarray

    def defects(self, known: np.ndarray) -> list[tuple[int, int, str]]:
        """Invalid lines: row, line number, and reason.

        Parameters
        ----------
        known : recordings of wav.scp, ascending
        """
        open_end = self.ends == TO_THE_END
        checks = [
            (rows_of(self.recordings, known) < 0, "its recording is not in wav.scp"),
            (~(self.starts >= 0) | ~np.isfinite(self.starts), "its start is not a number of seconds >= 0"),
            (~np.isfinite(self.ends) | (~open_end & ~(self.ends > self.starts)), "its end is not after its start"),
            (~open_end & (self.ends - self.starts < SHORTEST - ROUNDING), f"is shorter than {SHORTEST} s"),
            (self.channels == NO_CHANNEL, "its channel is not an integer >= 0"),
        ]
        why = np.full(len(self.starts), len(checks))
        for number in reversed(range(len(checks))):
            why[checks[number][0]] = number
        rows = np.flatnonzero(why < len(checks)).tolist()
        return [(row, int(self.table.numbers[row]), checks[why[row]][1]) for row in rows]


def read_segments(path: Path) -> SegmentTable:
    """Read a `segments` file; a line with another number of fields is in `table.bad`.

    Raises
    ------
    InputError : the file is absent, not a regular file, or not UTF-8 text
    """
    table = read_keyed(path, False)
    parts, counts = [], []
    for begin in range(0, len(table), ROWS):
        *columns, n_fields = cut_values(table, slice(begin, begin + ROWS))
        parts.append(columns)
        counts.append(n_fields)
    n_fields = np.concatenate([np.zeros(0, int), *counts]) + 1
    good = (n_fields == 4) | (n_fields == 5)
    if (wrong := np.flatnonzero(~good)).size:
        lines = [table.data[table.starts[row] : table.ends[row]].decode() for row in wrong.tolist()]
        numbers = table.numbers[wrong].tolist()
        table = table.without(wrong, list(zip(numbers, n_fields[wrong].tolist(), lines, strict=True)))
    if not len(table):
        return SegmentTable(table, np.zeros(0, "S1"), np.zeros(0), np.zeros(0), np.zeros(0, int))
    columns = (np.concatenate(column)[good] for column in zip(*parts, strict=True))
    return SegmentTable(table, *columns)


def cut_values(table: KeyedTable, rows: slice) -> tuple[np.ndarray, ...]:
    """Recordings, starts, ends, channels and numbers of fields of some lines; a line with too few repeats its last."""
    values = table.values[rows]
    offset = values[0, 0]
    data = table.data[offset : values[-1, 1]] + bytes(8)  # white space after the last field
    blank = np.frombuffer(data, np.uint8) <= SPACE
    edges = np.flatnonzero(np.diff(blank, prepend=True))  # where fields begin and end, alternately
    field_starts, field_ends = edges[0::2], edges[1::2]
    first = np.searchsorted(field_starts, values[:, 0] - offset)
    n_fields = np.searchsorted(field_starts, values[:, 1] - offset) - first
    places = first[:, None] + np.minimum(np.arange(4), n_fields[:, None] - 1)
    block = Block(table.path, data, field_starts[places], field_ends[places], 1)
    given, channel = n_fields == 4, read_decimals(block, 3)
    good = (channel >= 0) & (channel < MOST_CHANNELS) & (channel == np.floor(channel))
    channels = np.where(given, np.where(good, channel, NO_CHANNEL), MIXED).astype(int)
    return strings(block, 0), read_decimals(block, 1), read_decimals(block, 2), channels, n_fields


def cut_recordings(path: Path, recordings: Mapping[str, str]) -> dict[str, Segment]:
    """The segment of each utterance of a `segments` file.

    Parameters
    ----------
    recordings : wav.scp: recording -> path

    Raises
    ------
    InputError : names the file and the line that is malformed, repeats an utterance, has a recording that is not in
        wav.scp, or invalid times
    """
    segments = read_segments(path)
    table = segments.table
    if table.bad:
        number, _, line = table.bad[0]
        raise bad_line(path, number, SHAPE, line.encode())
    if (again := np.flatnonzero(table.superseded())).size:
        key = table.keys[again[0]]
        number = int(table.numbers[np.flatnonzero(table.keys == key)[1]])
        raise InputError(f'{path}, line {number}: "{key.decode()}" occurs twice in the table')
    known = np.sort(np.array([name.encode() for name in recordings] or [b""]))
    hint = f"Fix the line, or run: avsv fix {path.parent}"
    for row, number, why in segments.defects(known):
        line = table.data[table.starts[row] : table.ends[row]].decode()
        if "shorter" not in why:  # a short segment is skipped when it is read; it does not spoil the directory
            raise InputError(f'{path}, line {number}: {why}, expected "{SHAPE}", found "{line}". {hint}')
    names = dict(zip((name.encode() for name in recordings), recordings, strict=True))
    in_order = [names[name] for name in segments.recordings.tolist()]
    paths = map(recordings.__getitem__, in_order)
    columns = paths, segments.starts.tolist(), segments.ends.tolist(), segments.channels.tolist(), in_order
    return dict(zip(map(bytes.decode, table.keys.tolist()), map(Segment, *columns), strict=True))


def segment_line(segment: Segment) -> str:
    """The value of a line of `segments`: recording, start, end, and the channel if one is given.

    Examples
    --------
    >>> segment_line(Segment("/a.wav", 0.5, 1.25, recording="rec1"))
    'rec1 0.5 1.25'
    """
    channel = "" if segment.channel == MIXED else f" {segment.channel}"
    return f"{segment.recording} {segment.start!r} {segment.end!r}{channel}"


def is_pipe(source: Source) -> bool:
    """Whether the waveform is the output of a command."""
    return (source.path if isinstance(source, Segment) else source).rstrip().endswith("|")
