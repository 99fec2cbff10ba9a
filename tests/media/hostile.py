"""Writing damaged and malicious media: truncated files, flipped bits, wrong formats and wrong sizes in headers.

`write_hostile` damages synthetic media; the same seed gives the same files. For most of them either outcome is
acceptable; test_hostile_media.py lists those that must be refused and those that must be read.
"""

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import soundfile

RATE = 16000
FORMS = ("wav", "flac", "m4a", "mp4", "jpg")
CUTS = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97)  # remaining share of the file
SHORT = (0, 1, 3, 11, 43)  # remaining bytes
FLIPS = (1, 1, 4, 4, 16, 16, 64, 64, 256)  # bits
MINUTES = 20


def speech(seconds: float, seed: int = 0) -> np.ndarray:
    """Intermittent noise, (n,) float32."""
    n = round(seconds * RATE)
    return (np.random.default_rng(seed).normal(0, 0.1, n) * (np.arange(n) // 4000 % 2 + 0.01)).astype(np.float32)


def audio_bytes(waveform: np.ndarray, form: str, rate: int = RATE) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, waveform, rate, format=form.upper())
    return out.getvalue()


def face_image(n: int = 140) -> np.ndarray:
    """A white square in a noisy frame, which the tests' detector detects as a face."""
    image = np.random.default_rng(0).integers(0, 90, (n, n, 3), np.uint8)
    image[30:110, 30:110] = 255
    return image


def movie_bytes(waveform: np.ndarray | None, n_pictures: int) -> bytes:
    """An mp4 file with AAC audio, H.264 video, both, or neither."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        streams = []
        if waveform is not None:
            streams.append((container.add_stream("aac", rate=RATE, layout="mono"), audio_frames(waveform)))
        if n_pictures:
            stream = container.add_stream("h264", rate=25)
            stream.width = stream.height = 140
            stream.pix_fmt, stream.gop_size = "yuv420p", 5
            image = face_image()
            streams.append((stream, (av.VideoFrame.from_ndarray(image) for _ in range(n_pictures))))
        for stream, frames in streams:
            for frame in frames:
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    return out.getvalue()


def audio_frames(waveform: np.ndarray) -> Iterator[av.AudioFrame]:
    for begin in range(0, len(waveform), 1024):
        frame = av.AudioFrame.from_ndarray(waveform[None, begin : begin + 1024], "fltp", "mono")
        frame.rate, frame.pts = RATE, begin
        yield frame


def good_files() -> dict[str, bytes]:
    """One good file of each form."""
    _, jpg = cv2.imencode(".jpg", face_image())
    waveform = speech(1.5)
    return {
        "wav": audio_bytes(waveform, "wav"),
        "flac": audio_bytes(waveform, "flac"),
        "m4a": movie_bytes(waveform, 0),
        "mp4": movie_bytes(waveform, 20),
        "jpg": jpg.tobytes(),
    }


def flip_bits(data: bytes, n: int, rng: np.random.Generator, within: int) -> bytes:
    """Flip `n` random bits among the first `within` bytes."""
    changed = bytearray(data)
    for place in rng.integers(0, 8 * min(within, len(data)), n):
        changed[place // 8] ^= 1 << place % 8
    return bytes(changed)


def patch(data: bytes, place: int, form: str, value: int) -> bytes:
    return data[:place] + struct.pack(form, value) + data[place + struct.calcsize(form) :]


def lying_wavs(wav: bytes) -> dict[str, bytes]:
    """Copies of a wav file, each with one wrong number in its 44-byte header."""
    changes = {"riff-size": (4, "<I"), "fmt-size": (16, "<I"), "codec": (20, "<H"), "channels": (22, "<H"),
               "rate": (24, "<I"), "align": (32, "<H"), "bits": (34, "<H"), "data-size": (40, "<I")}  # fmt: skip
    most = {"<I": 0xFFFFFFFF, "<H": 0xFFFF}
    values = {"zero": lambda form: 0, "most": lambda form: most[form], "half": lambda form: most[form] // 2 + 1}
    return {f"{name}-{word}": patch(wav, place, form, value(form))
            for name, (place, form) in changes.items() for word, value in values.items()}  # fmt: skip


def lying_flacs(flac: bytes) -> dict[str, bytes]:
    """Copies of a flac file with a wrong STREAMINFO (from byte 8: block and frame sizes, rate, channels, bits)."""
    (fields,) = struct.unpack(">Q", flac[18:26])
    samples, rest = fields & ((1 << 36) - 1), fields >> 36
    return {
        "samples-most": patch(flac, 18, ">Q", rest << 36 | (1 << 36) - 1),
        "samples-double": patch(flac, 18, ">Q", rest << 36 | 2 * samples),
        "samples-unknown": patch(flac, 18, ">Q", rest << 36),
        "rate-zero": patch(flac, 18, ">Q", (rest & 0xFF) << 36 | samples),
        "rate-most": patch(flac, 18, ">Q", ((1 << 20) - 1) << 44 | (rest & 0xFF) << 36 | samples),
        "channels-8": patch(flac, 18, ">Q", (rest | 7 << 5) << 36 | samples),
        "blocks-zero": patch(flac, 8, ">I", 0),
        "blocks-most": patch(flac, 8, ">I", 0xFFFFFFFF),
    }


def lying_movies(movie: bytes) -> dict[str, bytes]:
    """Copies of an mp4 file, each with a wrong box size or a wrong number of table entries."""
    result = {}
    for box in ("ftyp", "moov", "mdat", "trak", "mdia", "stsd", "stsz", "stts", "stco", "stsc"):
        place = movie.find(box.encode()) - 4
        for word, value in (("zero", 0), ("one", 1), ("most", 0xFFFFFFFF), ("half", 0x7FFFFFFF)):
            if word in ("zero", "most") or box in ("moov", "stsz"):
                result[f"{box}-size-{word}"] = patch(movie, place, ">I", value)
        if box in ("stsz", "stts", "stco", "stsc"):
            entries = place + (16 if box == "stsz" else 12)
            result[f"{box}-entries-most"] = patch(movie, entries, ">I", 0xFFFFFFFF)
            result[f"{box}-entries-many"] = patch(movie, entries, ">I", 0x00FFFFFF)
    return result


def lying_jpgs(jpg: bytes) -> dict[str, bytes]:
    """Copies of a jpg file that declare another size (bytes 5-8 of the frame header, 0xFFC0)."""
    place = jpg.find(b"\xff\xc0") + 5
    sizes = {"65500": (65500, 65500), "12000": (12000, 12000), "8000x4000": (4000, 8000), "flat": (1, 65500),
             "zero": (0, 0), "one": (1, 1)}  # fmt: skip
    return {f"size-{name}": patch(patch(jpg, place, ">H", h), place + 2, ">H", w) for name, (h, w) in sizes.items()}


def write_hostile(folder: Path, seed: int = 0) -> dict[str, Path]:
    """Write all damaged files; returns name -> path, where names tell format and damage, such as "wav-cut-0.5"."""
    rng = np.random.default_rng(seed)
    good = good_files()
    files = {}
    lies = {"wav": lying_wavs, "flac": lying_flacs, "m4a": lying_movies, "mp4": lying_movies, "jpg": lying_jpgs}
    others = {"text": b"not a sound, not an image\n" * 40, "zip": b"PK\x03\x04" + bytes(2000), "zeros": bytes(5000),
              "noise": rng.bytes(5000), "program": b"\x7fELF" + rng.bytes(3000)}  # fmt: skip
    for form, data in good.items():
        made = {f"short-{n}": data[:n] for n in SHORT}
        made |= {f"cut-{share}": data[: int(share * len(data))] for share in CUTS}
        made |= {f"flip-{n}-{i}": flip_bits(data, n, rng, len(data)) for i, n in enumerate(FLIPS)}
        made |= {f"flip-head-{n}-{i}": flip_bits(data, n, rng, 200) for i, n in enumerate(FLIPS[:6])}
        made |= {f"is-{name}": content for name, content in others.items()}
        made |= {f"is-{other}": content for other, content in good.items() if other != form}
        made |= {f"lies-{name}": content for name, content in lies[form](data).items()}
        files |= {f"{form}-{what}.{form}": content for what, content in made.items()}
    files["m4a-no-streams.m4a"] = files["mp4-no-streams.mp4"] = good["m4a"].replace(b"trak", b"free")
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {Path(name).stem if name.count(".") == 1 else name.rpartition(".")[0]: folder / name for name in files}


def write_odd(folder: Path) -> dict[str, Path]:
    """Write unusual but valid audio: one sample, eight channels, 6 kHz, twenty minutes."""
    long = np.zeros(MINUTES * 60 * RATE, np.float32)  # nearly silent, which encodes fast
    long[: 10 * RATE] = speech(10)
    eight = np.repeat(speech(2)[:, None], 8, 1)
    files = {
        "odd-one.wav": audio_bytes(speech(1)[:1], "wav"),
        "odd-one.flac": audio_bytes(speech(1)[:1], "flac"),
        "odd-none.wav": audio_bytes(speech(1)[:0], "wav"),
        "odd-eight.wav": audio_bytes(eight, "wav"),
        "odd-eight.flac": audio_bytes(eight, "flac"),
        "odd-6khz.wav": audio_bytes(speech(2), "wav", 6000),
        "odd-6khz.flac": audio_bytes(speech(2), "flac", 6000),
        "odd-1hz.wav": audio_bytes(speech(2), "wav", 1),
        "odd-long.wav": audio_bytes(long, "wav"),
        "odd-long.m4a": movie_bytes(long, 0),
        "odd-long-eight.flac": audio_bytes(np.repeat(long[:, None], 8, 1), "flac"),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return {name.replace(".", "-"): folder / name for name in files}
