"""What the header of a sound file says: its form, whether the file is cut short, and which sizes are not true.

A file is taken for what its content says, never for its name. Whoever records or streams cannot know the size of a file
beforehand, and what stands in its header then is 0, a number as large as possible, or wrong by the size of the header.
Such files are whole: they are read to their end, as Kaldi does, with a warning where the number is simply wrong. A file
that ends before the end that its header names has been cut short, and is refused.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

OPEN_END = 0x7FFFF000 - 0x10000  # bytes; a writer to a pipe says this or more, SoX rounds it to whole samples
OPEN_END_64 = 1 << 62
MOST_CHUNKS = 100_000  # looked at; files have a dozen, fragmented mp4 some thousands
MPEG_IN_WAV = (0x50, 0x55)  # format tags
SNDFILE_TAGS = (1, 2, 3, 6, 7, 0x11, 0x38, 0x40, 0xFFFE)  # PCM, ADPCM, float, A-law, mu-law, NMS, G.721, extensible
W64_RIFF = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
ASF_FILE = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
EBML, SEGMENT = b"\x1a\x45\xdf\xa3", 0x18538067
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof")


@dataclass
class Header:
    """What is known of a sound file before it is decoded.

    reader : "libsndfile" or "ffmpeg"
    cut : how much is there of a file that is cut short; "" where it is whole, or nobody can tell
    odd : what is wrong with the header of a file that is whole
    patches : bytes that the header should have had, by their place
    samples : that the whole sound has (of mp3: at least), where the header tells; else 0
    content : (begin, end) of a recording of another form inside this one
    """

    reader: str
    cut: str = ""
    odd: str = ""
    patches: dict[int, bytes] = field(default_factory=dict)
    samples: int = 0
    content: tuple[int, int] | None = None


def read_header(file: BinaryIO, n_bytes: int) -> Header:
    """Look at a file of `n_bytes` from its beginning; a damaged header is left to the decoder."""
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
    """Chunks of a RIFF-like file: name, size of the content, place of the content; `extra` bytes count as content."""
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
    """(cut, odd) of a file whose sound data begin at `begin`.

    Parameters
    ----------
    declared : bytes of data by the header
    whole : another number in the header says that the file ends where it does
    most : sizes from here on mean that the size is not known
    """
    there = n_bytes - begin
    if declared >= most or 0 < declared <= there:
        return "", ""
    if declared <= 0:
        return "", "its header says that it has no data" if there > 0 else ""
    if whole or declared - there <= begin:  # the header itself was counted in, or some bytes
        return "", f"its header says that it has {declared} bytes of data, {there} are there"
    return f"{100 * there / declared:.0f} % of its data are there", ""


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
    there = n_bytes - place
    if long_place is not None and size == 0xFFFFFFFF:
        cut, odd = judge(long_size, place, n_bytes, riff_64 + 8 == n_bytes, OPEN_END_64)
        patches = {}
        if not cut and not 0 < long_size <= there:
            samples = there // max(1, align)
            patches = {long_place: struct.pack("<QQQ", n_bytes - 8, there, samples)}
    elif size == 0 and (there < 8 or looks_like_chunks(file, place, n_bytes, order)):
        cut, odd, patches = "", "", {}  # it is empty in truth
    else:
        cut, odd = judge(size, place, n_bytes, riff + 8 in (n_bytes, n_bytes - 1))
        patches = {place - 4: struct.pack(order + "I", min(there, 0xFFFFFFFE))} if size == 0 else {}
    if tag in MPEG_IN_WAV:
        return Header("ffmpeg", cut, odd, content=(place, min(n_bytes, place + size) if size else n_bytes))
    return Header("libsndfile" if tag in SNDFILE_TAGS else "ffmpeg", cut, odd, patches)


def looks_like_chunks(file: BinaryIO, begin: int, n_bytes: int, order: str) -> bool:
    """Whether the rest of a file is chunks that end where it ends."""
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
            there = n_bytes - place
            cut, odd = judge(size, place, n_bytes, form + 8 == n_bytes)
            patches = {}
            if not cut and not 8 < size <= there:
                samples = max(0, there - 8) // max(1, common[1] * ((common[3] + 7) // 8))
                patches = {place - 4: struct.pack(">I", there), common[0] + 2: struct.pack(">I", samples)}
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
            there = n_bytes - place
            cut, odd = ("", "") if size == -1 else judge(size, place, n_bytes, False, OPEN_END_64)
            patches = {place - 8: struct.pack(">q", there)} if not cut and not 0 < size <= there else {}
            return Header("libsndfile", cut, odd, patches)
    return Header("libsndfile")


def read_sphere(file: BinaryIO, n_bytes: int) -> Header:
    begin = int(file.read(16)[8:])
    file.seek(0)
    words = [line.split(None, 2) for line in file.read(min(begin, 1 << 16)).decode("latin-1").splitlines()]
    fields = {line[0]: line[2].strip() for line in words if len(line) == 3}
    if "shorten" in fields.get("sample_coding", ""):  # not in ffmpeg either: convert it with sph2pipe
        return Header("ffmpeg")
    wanted = [int(fields.get(name, usual)) for name, usual in
              (("sample_count", 0), ("channel_count", 1), ("sample_n_bytes", 2))]  # fmt: skip
    cut, odd = judge(wanted[0] * wanted[1] * wanted[2], begin, n_bytes, whole=False)
    return Header("libsndfile", cut, odd)


def read_ogg(file: BinaryIO, n_bytes: int) -> Header:
    """The last page is whole, and says that it is the last."""
    file.seek(max(0, n_bytes - (1 << 17)))  # a page has up to 65307 bytes
    tail = file.read()
    place = tail.rfind(b"OggS")
    page = tail[place:]
    n_segments = page[26] if place >= 0 and len(page) >= 27 else 1 << 20
    if len(page) < 27 + n_segments + sum(page[27 : 27 + n_segments]):
        return Header("ffmpeg", cut="its last page is not whole")
    # the time of a last page counts from its end, so that a gap right before it has no place
    before = tail[max(0, tail.rfind(b"OggS", 0, place)) :]
    stream, number = struct.unpack("<II", page[14:22])
    stream_before, number_before = struct.unpack("<II", before[14:22])
    if before[:4] == b"OggS" and stream == stream_before and number > number_before + 1:
        return Header("ffmpeg", cut="the page before its last one is missing")
    return Header("ffmpeg", odd="" if page[5] & 4 else "its last page does not say that it is the last")


def read_matroska(file: BinaryIO, n_bytes: int) -> Header:
    """The segment, which holds all, is there to its end; one of unknown size was written to a pipe, or never closed."""
    place = 0
    for _ in range(100):
        file.seek(place)
        element, size, length = ebml_head(file.read(16))
        if element == SEGMENT:
            there = n_bytes - place - length
            unknown = size == (1 << 7 * size_of_size(file, place)) - 1
            if not unknown and there < size:
                return Header("ffmpeg", cut=f"{100 * there / size:.0f} % of its data are there")
            break
        place += length + size
    return Header("ffmpeg")


def ebml_head(data: bytes) -> tuple[int, int, int]:
    """Name, size, and length of the head itself, of an element of EBML."""
    of_name = 9 - data[0].bit_length()
    of_size = 9 - data[of_name].bit_length()
    size = int.from_bytes(data[of_name : of_name + of_size], "big") & ((1 << 7 * of_size) - 1)
    return int.from_bytes(data[:of_name], "big"), size, of_name + of_size


def size_of_size(file: BinaryIO, place: int) -> int:
    file.seek(place)
    data = file.read(9)
    return 9 - data[9 - data[0].bit_length()].bit_length()


def read_avi(file: BinaryIO, n_bytes: int) -> Header:
    """Every RIFF list is there to its end; a file over 1 GB has several. A recorder that was killed leaves size 0."""
    for name, size, place in chunks(file, 0, "<4sI"):
        if name != b"RIFF":
            break
        if 0 < size < OPEN_END and place + size > n_bytes + 1:
            return Header("ffmpeg", cut=f"{100 * (n_bytes - place) / size:.0f} % of its data are there")
        if not size:
            break
    return Header("ffmpeg")


def read_mp4(file: BinaryIO, n_bytes: int) -> Header:
    """Every box at the top is there to its end."""
    place = 0
    for _ in range(MOST_CHUNKS):
        file.seek(place)
        head = file.read(16)
        if len(head) < 8:
            break
        size, name = struct.unpack(">I4s", head[:8])
        size = struct.unpack(">Q", head[8:])[0] if size == 1 else size or n_bytes - place
        if name == b"mdat" and place + size > n_bytes:
            return Header("ffmpeg", cut=f"{100 * (n_bytes - place) / size:.0f} % of its data are there")
        if size < 8:
            break
        place += size
    return Header("ffmpeg")


def read_flv(file: BinaryIO, n_bytes: int) -> Header:
    """The file ends with the size of the last tag, and it has it; some write 0, or leave the tag's head out."""
    file.seek(max(0, n_bytes - 4))
    (size,) = struct.unpack(">I", file.read(4))
    for of_tag in (size, size + 11):
        if 11 <= of_tag <= n_bytes - 13:
            file.seek(n_bytes - 4 - of_tag)
            head = file.read(4)
            if head[0] & 0x1F in (8, 9, 18) and int.from_bytes(head[1:], "big") + 11 == of_tag:
                return Header("ffmpeg")
    return Header("ffmpeg", cut="its last packet is not whole" if size else "")


def read_asf(file: BinaryIO, n_bytes: int) -> Header:
    """The size of the file stands in its header, unless it was broadcast."""
    place = file.read(1 << 16).find(ASF_FILE)
    if place >= 0:
        file.seek(place + 40)
        size = struct.unpack("<Q", file.read(8))[0]
        flags = struct.unpack("<40xI", file.read(44))[0]
        if not flags & 1 and n_bytes < size < OPEN_END_64:
            return Header("ffmpeg", cut=f"{100 * n_bytes / size:.0f} % of it are there")
    return Header("ffmpeg")


def read_wavpack(file: BinaryIO, n_bytes: int) -> Header:
    (samples,) = struct.unpack("<12xI", file.read(16))
    return Header("ffmpeg", samples=0 if samples == 0xFFFFFFFF else samples)


def read_tta(file: BinaryIO, n_bytes: int) -> Header:
    return Header("ffmpeg", samples=struct.unpack("<14xI", file.read(18))[0])


def read_mp3(file: BinaryIO, n_bytes: int) -> Header:
    """Frames by the header of Xing or VBRI, where an encoder wrote one into the first frame."""
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
            return Header("ffmpeg", samples=max(0, n_frames - 5) * per_frame)  # priming and padding are taken off
    return Header("ffmpeg")


def is_mp3(head: bytes) -> bool:
    """Whether the bytes begin a frame of MPEG audio, layer III."""
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
