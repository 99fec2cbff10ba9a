"""Helpers that edit the boxes of an mp4 or mov file: display matrices, aspect ratios, edit lists.

The index (moov) must come after the media (mdat), as ffmpeg writes it by default, because offsets into the media are
not updated.
"""

import struct
from collections.abc import Callable, Sequence

FOLDERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts")
ONE = 1 << 16  # of the 16.16 numbers


def change(data: bytes, path: Sequence[bytes], edit: Callable[[bytes], bytes]) -> bytes:
    """Apply `edit` to the content of each box at `path`, such as (b"moov", b"trak", b"tkhd")."""
    out, place = [], 0
    while place < len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, place + 8), 16
        size = size or len(data) - place
        content = data[place + head : place + size]
        if name == path[0]:
            content = edit(content) if len(path) == 1 else change(content, path[1:], edit)
            out.append(struct.pack(">I4s", len(content) + 8, name) + content)
        else:
            out.append(data[place : place + size])
        place += size
    return b"".join(out)


def of_video(edit: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Restrict `edit` to video tracks."""
    return lambda trak: edit(trak) if b"vide" in trak else trak


def with_matrix(data: bytes, matrix: Sequence[Sequence[float]]) -> bytes:
    """Set the display matrix [[a, b], [c, d]] in the track header: x' = a x + c y, y' = b x + d y."""
    (a, b), (c, d) = ((round(value * ONE) for value in row) for row in matrix)
    numbers = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)

    def edit(header: bytes) -> bytes:
        place = 40 if header[0] == 0 else 52  # version 1 has times of 64 bits
        return header[:place] + numbers + header[place + 36 :]

    return change(data, (b"moov", b"trak"), of_video(lambda trak: change(trak, (b"tkhd",), edit)))


def with_aspect(data: bytes, across: int, down: int) -> bytes:
    """Set the pixel aspect ratio (box pasp): each pixel is `across` wide and `down` high."""
    pasp = struct.pack(">I4sII", 16, b"pasp", across, down)

    def edit(stsd: bytes) -> bytes:
        size, name = struct.unpack_from(">I4s", stsd, 8)
        entry = stsd[16 : 8 + size]
        fixed, boxes = entry[:78], entry[78:]  # of a VisualSampleEntry
        boxes = b"".join(box for box in split(boxes) if box[4:8] != b"pasp") + pasp
        return stsd[:8] + struct.pack(">I4s", 8 + len(fixed + boxes), name) + fixed + boxes

    path = (b"mdia", b"minf", b"stbl", b"stsd")
    return change(data, (b"moov", b"trak"), of_video(lambda trak: change(trak, path, edit)))


def with_edits(data: bytes, edits: Sequence[tuple[int, int]]) -> bytes:
    """Set an edit list of (duration in units of the movie, first media time, or -1 for an empty edit)."""
    entries = b"".join(struct.pack(">IiI", duration, time, ONE) for duration, time in edits)
    elst = struct.pack(">III", 0, len(edits), 0)[:8] + entries
    edts = struct.pack(">I4s", 16 + len(elst), b"edts") + struct.pack(">I4s", 8 + len(elst), b"elst") + elst

    def edit(trak: bytes) -> bytes:
        kept = [box for box in split(trak) if box[4:8] != b"edts"]
        return b"".join([kept[0], edts, *kept[1:]])

    return change(data, (b"moov", b"trak"), of_video(edit))


def split(data: bytes) -> list[bytes]:
    boxes, place = [], 0
    while place < len(data):
        (size,) = struct.unpack_from(">I", data, place)
        boxes.append(data[place : place + size])
        place += size
    return boxes


def scales(data: bytes) -> tuple[int, int]:
    """Time units per second of the movie and of its first video track, in which edits count."""
    result = {}

    def look(name):
        def edit(header: bytes) -> bytes:
            result.setdefault(name, struct.unpack_from(">I", header, 12 if header[0] == 0 else 20)[0])
            return header

        return edit

    change(data, (b"moov", b"mvhd"), look("movie"))
    change(data, (b"moov", b"trak"), of_video(lambda trak: change(trak, (b"mdia", b"mdhd"), look("media"))))
    return result["movie"], result["media"]
