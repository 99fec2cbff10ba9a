"""Reading the header of a media file: its format, whether the file is truncated, and which sizes are wrong.

The format is detected from the content, never from the file name. A recorder or streamer cannot know the final size in
advance, so it writes 0, the largest possible number, or a size that is off by the length of the header. Such files are
complete and read to their end, as in Kaldi, with a warning if the size is simply wrong. A file that ends before the end
given by its header is truncated and refused.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

OPEN_END = 0x7FFFF000 - 0x10000  # bytes; a writer to a pipe declares this or more, SoX rounds it to whole samples
OPEN_END_64 = 1 << 62
MOST_CHUNKS = 100_000  # limit on the search; files have a dozen, fragmented mp4 some thousands
MPEG_IN_WAV = (0x50, 0x55)  # format tags
SNDFILE_TAGS = (1, 2, 3, 6, 7, 0x11, 0x38, 0x40, 0xFFFE)  # PCM, ADPCM, float, A-law, mu-law, NMS, G.721, extensible
W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", 0x18538067
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof")


@dataclass
class Header:
    """Facts from the header of a media file, known before decoding.

    reader : "libsndfile" or "ffmpeg"
    cut : the share of a truncated file that is present, as text; "" if the file is complete or the header does not tell
    odd : the error in the header of a complete file, as text
    patches : offset -> correct bytes of the header
    samples : length of the audio (for mp3, a lower bound) if the header gives it, otherwise 0
    content : (begin, end) of a recording in another format inside this file
    """

    reader: str
    cut: str = ""
    odd: str = ""
    patches: dict[int, bytes] = field(default_factory=dict)
    samples: int = 0
    content: tuple[int, int] | None = None


def read_header(file: BinaryIO, n_bytes: int) -> Header:
    """Read the header of a file of `n_bytes`; a damaged header is left to the decoder."""
    head = file.read(64)
    try:
        for matches, look in FORMS:
            if matches(head):
                file.seek(0)
                return look(file, n_bytes)
    except (struct.error, ValueError, OverflowError):
        pass
    return Header("libsndfile" if head[:4] == b"fLaC" else "ffmpeg")


def chunks(file: BinaryIO, begin: int, head: str, extra: int = 0, pad: int = 2) -> Iterator[tuple[bytes, int, int]]:
    """Yield the chunks of a RIFF-like file: name, size and offset of the content.

    Parameters
    ----------
    head : struct format of a chunk's head
    extra : bytes of the head that the declared size includes
    pad : chunks start at multiples of this
    """
    size_of_head = struct.calcsize(head)
    for _ in range(MOST_CHUNKS):
        file.seek(begin)
        data = file.read(size_of_head)
        if len(data) < size_of_head:
            return
        name, size = struct.unpack(head, data)
        yield name, size - extra, begin + size_of_head
        begin += size_of_head + max(0, size - extra)
        begin += -begin % pad


def judge(declared: int, begin: int, n_bytes: int, whole: bool, most: int = OPEN_END) -> tuple[str, str]:
    """Compare the declared size of the audio data with the file; gives `cut` and `odd` of a Header.

    Parameters
    ----------
    declared : size of the data by the header, bytes
    begin : offset of the data
    whole : another number in the header confirms where the file ends
    most : larger sizes mean that the size is unknown
    """
    present = n_bytes - begin
    if declared >= most or 0 < declared <= present:
        return "", ""
    if declared <= 0:
        return "", "its header declares no data" if present > 0 else ""
    if whole or declared - present <= begin:  # the declared size includes the header
        return "", f"its header declares {declared} bytes of data, the file has {present}"
    return f"{100 * present / declared:.0f} % of the data are present", ""


def read_wav(file: BinaryIO, n_bytes: int) -> Header:
    order = ">" if file.read(4) == b"RIFX" else "<"
    (riff,) = struct.unpack(order + "I", file.read(4))
    tag = align = long_size = 0
    long_place = None
    size = place = 0
    for name, size, place in chunks(file, 12, order + "4sI"):  # noqa: B007 (used below)
        file.seek(place)
        if name == b"fmt ":
            tag, align = struct.unpack(order + "H10xH", file.read(14))
        elif name == b"ds64":
            long_place = place
            riff_64, long_size = struct.unpack("<QQ", file.read(16))
        elif name == b"data":
            break
    else:
        return Header("libsndfile")
    present = n_bytes - place
    if long_place is not None and size == 0xFFFFFFFF:
        cut, odd = judge(long_size, place, n_bytes, riff_64 + 8 == n_bytes, OPEN_END_64)
        patches = {}
        if not cut and not 0 < long_size <= present:
            samples = present // max(1, align)
            patches = {long_place: struct.pack("<QQQ", n_bytes - 8, present, samples)}
    elif size == 0 and (present < 8 or looks_like_chunks(file, place, n_bytes, order)):
        cut, odd, patches = "", "", {}  # the recording really is empty
    else:
        cut, odd = judge(size, place, n_bytes, riff + 8 in (n_bytes, n_bytes - 1))
        patches = {place - 4: struct.pack(order + "I", min(present, 0xFFFFFFFE))} if size == 0 else {}
    if tag in MPEG_IN_WAV:
        return Header("ffmpeg", cut, odd, content=(place, min(n_bytes, place + size) if size else n_bytes))
    return Header("libsndfile" if tag in SNDFILE_TAGS else "ffmpeg", cut, odd, patches)


def looks_like_chunks(file: BinaryIO, begin: int, n_bytes: int, order: str) -> bool:
    """Whether the rest of a file consists of chunks that end with the file."""
    end = begin
    for name, size, place in chunks(file, begin, order + "4sI"):
        if not name.isascii() or not name.decode().isprintable():
            return False
        end = place + size
    return abs(end - n_bytes) <= 1


def read_w64(file: BinaryIO, n_bytes: int) -> Header:
    (riff,) = struct.unpack("<16xQ", file.read(24))
    for name, size, place in chunks(file, 40, "<16sQ", extra=24, pad=8):
        if name[:4] == b"data":
            cut, odd = judge(size, place, n_bytes, riff == n_bytes, OPEN_END_64)
            patches = {place - 8: struct.pack("<Q", n_bytes - place + 24)} if odd and size <= 0 else {}
            return Header("libsndfile", cut, odd, patches)
    return Header("libsndfile")


def read_aiff(file: BinaryIO, n_bytes: int) -> Header:
    (form,) = struct.unpack(">4xI", file.read(8))
    common = None
    for name, size, place in chunks(file, 12, ">4sI"):
        if name == b"COMM":
            file.seek(place)
            common = place, *struct.unpack(">HIH", file.read(8))
        elif name == b"SSND" and common is not None:
            present = n_bytes - place
            cut, odd = judge(size, place, n_bytes, form + 8 == n_bytes)
            patches = {}
            if not cut and not 8 < size <= present:
                samples = max(0, present - 8) // max(1, common[1] * ((common[3] + 7) // 8))
                patches = {place - 4: struct.pack(">I", present), common[0] + 2: struct.pack(">I", samples)}
            return Header("libsndfile", cut, odd, patches)
    return Header("libsndfile")


def read_au(file: BinaryIO, n_bytes: int) -> Header:
    order = ">" if file.read(4) == b".snd" else "<"
    begin, size = struct.unpack(order + "II", file.read(8))
    cut, odd = judge(size, begin, n_bytes, whole=False)
    return Header("libsndfile", cut, odd, {8: b"\xff" * 4} if odd and size == 0 else {})


def read_caf(file: BinaryIO, n_bytes: int) -> Header:
    for name, size, place in chunks(file, 8, ">4sq", pad=1):
        if name == b"data":
            present = n_bytes - place
            cut, odd = ("", "") if size == -1 else judge(size, place, n_bytes, False, OPEN_END_64)
            patches = {place - 8: struct.pack(">q", present)} if not cut and not 0 < size <= present else {}
            return Header("libsndfile", cut, odd, patches)
    return Header("libsndfile")


def read_sphere(file: BinaryIO, n_bytes: int) -> Header:
    begin = int(file.read(16)[8:])
    file.seek(0)
    words = [line.split(None, 2) for line in file.read(min(begin, 1 << 16)).decode("latin-1").splitlines()]
    fields = {line[0]: line[2].strip() for line in words if len(line) == 3}
    if "shorten" in fields.get("sample_coding", ""):  # ffmpeg cannot read it either: convert it with sph2pipe
        return Header("ffmpeg")
    usual = {"sample_count": 0, "channel_count": 1, "sample_n_bytes": 2}
    n_samples, n_channels, sample_bytes = (int(fields.get(name, value)) for name, value in usual.items())
    cut, odd = judge(n_samples * n_channels * sample_bytes, begin, n_bytes, whole=False)
    return Header("libsndfile", cut, odd)


def read_ogg(file: BinaryIO, n_bytes: int) -> Header:
    """Check that the last page is complete and marked as the last one."""
    file.seek(max(0, n_bytes - (1 << 17)))  # a page has up to 65307 bytes
    tail = file.read()
    place = tail.rfind(b"OggS")
    page = tail[place:]
    n_segments = page[26] if place >= 0 and len(page) >= 27 else 1 << 20
    if len(page) < 27 + n_segments + sum(page[27 : 27 + n_segments]):
        return Header("ffmpeg", cut="the last page is incomplete")
    # the time stamp of the last page refers to its end, so a gap right before it cannot be located
    before = tail[max(0, tail.rfind(b"OggS", 0, place)) :]
    stream, number = struct.unpack("<II", page[14:22])
    stream_before, number_before = struct.unpack("<II", before[14:22])
    if before[:4] == b"OggS" and stream == stream_before and number > number_before + 1:
        return Header("ffmpeg", cut="the page before the last one is missing")
    return Header("ffmpeg", odd="" if page[5] & 4 else "its last page is not marked as the last one")


def read_matroska(file: BinaryIO, n_bytes: int) -> Header:
    """Check that the segment, the element that contains all data, is complete.

    Its size is unknown if the file was written to a pipe or never closed.
    """
    place = 0
    for _ in range(100):
        file.seek(place)
        element, size, length = ebml_head(file.read(16))
        if element == SEGMENT:
            present = n_bytes - place - length
            unknown = size == (1 << 7 * size_of_size(file, place)) - 1
            if not unknown and present < size:
                return Header("ffmpeg", cut=f"{100 * present / size:.0f} % of the data are present")
            break
        place += length + size
    return Header("ffmpeg")


def ebml_head(data: bytes) -> tuple[int, int, int]:
    """Id and size of an EBML element, and the length of its head in bytes."""
    of_name = 9 - data[0].bit_length()
    of_size = 9 - data[of_name].bit_length()
    size = int.from_bytes(data[of_name : of_name + of_size], "big") & ((1 << 7 * of_size) - 1)
    return int.from_bytes(data[:of_name], "big"), size, of_name + of_size


def size_of_size(file: BinaryIO, place: int) -> int:
    """Number of bytes in the size field of the EBML element at `place`."""
    file.seek(place)
    data = file.read(9)
    return 9 - data[9 - data[0].bit_length()].bit_length()


def read_avi(file: BinaryIO, n_bytes: int) -> Header:
    """Check that every RIFF list is complete; a file over 1 GB has several, and a killed recorder leaves size 0."""
    for name, size, place in chunks(file, 0, "<4sI"):
        if name != b"RIFF":
            break
        if 0 < size < OPEN_END and place + size > n_bytes + 1:
            return Header("ffmpeg", cut=f"{100 * (n_bytes - place) / size:.0f} % of the data are present")
        if not size:
            break
    return Header("ffmpeg")


def read_mp4(file: BinaryIO, n_bytes: int) -> Header:
    """Check that every top-level box is complete."""
    place = 0
    for _ in range(MOST_CHUNKS):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            break
        size, name = struct.unpack(">I4s", head[:8])
        size = struct.unpack(">Q", head[8:])[0] if size == 1 else size or n_bytes - place
        if name == b"mdat" and place + size > n_bytes:
            return Header("ffmpeg", cut=f"{100 * (n_bytes - place) / size:.0f} % of the data are present")
        if size < 8:
            break
        place += size
    return Header("ffmpeg")


def read_flv(file: BinaryIO, n_bytes: int) -> Header:
    """Check that the last tag has the size given at the end of the file.

    Some writers put 0 there, or leave out the tag's head.
    """
    file.seek(max(0, n_bytes - 4))
    (size,) = struct.unpack(">I", file.read(4))
    for of_tag in (size, size + 11):
        if 11 <= of_tag <= n_bytes - 13:
            file.seek(n_bytes - 4 - of_tag)
            head = file.read(4)
            if head[0] & 0x1F in (8, 9, 18) and int.from_bytes(head[1:], "big") + 11 == of_tag:
                return Header("ffmpeg")
    return Header("ffmpeg", cut="the last packet is incomplete" if size else "")


def read_asf(file: BinaryIO, n_bytes: int) -> Header:
    """Check the file size given in the header; a broadcast file has none."""
    place = file.read(1 << 16).find(ASF_FILE)
    if place >= 0:
        file.seek(place + 40)
        size = struct.unpack("<Q", file.read(8))[0]
        flags = struct.unpack("<40xI", file.read(44))[0]
        if not flags & 1 and n_bytes < size < OPEN_END_64:
            return Header("ffmpeg", cut=f"{100 * n_bytes / size:.0f} % of the file are present")
    return Header("ffmpeg")


def read_wavpack(file: BinaryIO, n_bytes: int) -> Header:
    (samples,) = struct.unpack("<12xI", file.read(16))
    return Header("ffmpeg", samples=0 if samples == 0xFFFFFFFF else samples)


def read_tta(file: BinaryIO, n_bytes: int) -> Header:
    return Header("ffmpeg", samples=struct.unpack("<14xI", file.read(18))[0])


def read_mp3(file: BinaryIO, n_bytes: int) -> Header:
    """Take the number of frames from the Xing or VBRI header, if the encoder wrote one into the first frame."""
    begin = 0
    if (head := file.read(10))[:3] == b"ID3":
        begin = 10 + sum((byte & 0x7F) << 7 * i for i, byte in enumerate(reversed(head[6:10])))
    file.seek(begin)
    frame = file.read(4096)
    if not is_mp3(frame):
        return Header("ffmpeg")
    per_frame = 1152 if frame[1] & 0x08 else 576  # MPEG 1; 2 and 2.5
    for name, offset in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        place = frame.find(name, 4, 200)
        if place >= 0 and (name == b"VBRI" or frame[place + 7] & 1):
            n_frames = struct.unpack(">I", frame[place + offset : place + offset + 4])[0]
            return Header("ffmpeg", samples=max(0, n_frames - 5) * per_frame)  # without priming and padding
    return Header("ffmpeg")


def is_mp3(head: bytes) -> bool:
    """Whether the bytes start with a frame of MPEG audio, layer III."""
    return len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2 and head[2] >> 4 != 15


FORMS = (
    (lambda head: head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE", read_wav),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ", read_avi),
    (lambda head: head[:16] == W64_RIFF, read_w64),
    (lambda head: head[:4] == b"FORM" and head[8:11] == b"AIF", read_aiff),
    (lambda head: head[:4] in (b".snd", b"dns."), read_au),
    (lambda head: head[:4] == b"caff", read_caf),
    (lambda head: head[:7] == b"NIST_1A", read_sphere),
    (lambda head: head[:4] == b"OggS", read_ogg),
    (lambda head: head[:4] == EBML, read_matroska),
    (lambda head: head[4:8] in BOXES, read_mp4),
    (lambda head: head[:4] == b"FLV\x01", read_flv),
    (lambda head: head[:16] == ASF, read_asf),
    (lambda head: head[:4] == b"wvpk", read_wavpack),
    (lambda head: head[:4] == b"TTA1", read_tta),
    (lambda head: head[:3] == b"ID3" or is_mp3(head), read_mp3),
)  # fmt: skip
