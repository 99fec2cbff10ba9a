"""Still images of every mode and format: their values and orientation, and files that are not images."""

import os
import struct
import subprocess
import sys
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from avsv.errors import InputError
from avsv.media.images import read_frames
from avsv.media.still_images import read_image

GREY = (np.add.outer(np.arange(40) * 5, np.arange(50)) + 3).astype(np.uint8)
COLOUR = np.stack([GREY, 255 - GREY, GREY // 2], 2)  # red, green, blue


def png_of_16_bits(values):
    """Write a 16-bit PNG by hand, from (height, width) or (height, width, 2, 3 or 4) uint16."""
    n = 1 if values.ndim == 2 else values.shape[2]
    rows = values.reshape(len(values), -1).astype(">u2")
    raw = b"".join(b"\0" + row.tobytes() for row in rows)
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], 16, {1: 0, 2: 4, 3: 2, 4: 6}[n], 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def tiff(values, bits, photometric=1, sample_format=1, order="<"):
    """Write an uncompressed TIFF by hand, from grey or RGB values."""
    n = 1 if values.ndim == 2 else values.shape[2]
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    if bits == 12:
        flat = values.reshape(-1, 2).astype(np.uint32)
        data = b"".join(int(a << 12 | b).to_bytes(3, "big") for a, b in flat)
    entries = [(256, 4, 1, values.shape[1]), (257, 4, 1, values.shape[0]), (258, 3, 1, bits), (259, 3, 1, 1),
               (262, 3, 1, photometric), (273, 4, 1, 8), (277, 3, 1, n), (278, 4, 1, values.shape[0]),
               (279, 4, 1, len(data)), (339, 3, 1, sample_format)]  # fmt: skip
    if n == 3:
        entries[2] = (258, 3, 3, 8 + len(data))
        entries[-1] = (339, 3, 1, 1)
    more = struct.pack(order + "3H", bits, bits, bits) if n == 3 else b""
    out = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8 + len(data) + len(more)) + data + more
    out += struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        fits = kind == 3 and count == 1
        out += struct.pack(order + ("HHIHH" if fits else "HHII"), tag, kind, count, value, *([0] if fits else []))
    return out + bytes(4)


def grey_of(image):
    assert (image == image[:, :, :1]).all()
    return image[:, :, 0].astype(int)


@pytest.mark.parametrize("name, content", [
    ("png", png_of_16_bits(GREY.astype(np.uint16) * 257)),
    ("png with alpha", png_of_16_bits(np.stack([GREY.astype(np.uint16) * 257, np.full(GREY.shape, 65535)], 2))),
    ("tif", tiff(GREY.astype(np.uint16) * 257, 16)),
    ("tif, big endian", tiff(GREY.astype(np.uint16) * 257, 16, order=">")),
    ("tif, white is zero", tiff(65535 - GREY.astype(np.uint16) * 257, 16, photometric=0)),
    ("tif of 12 bits", tiff(np.round(GREY * (4095 / 255)).astype(np.uint16), 12)),
    ("pgm", b"P5 50 40 65535\n" + (GREY.astype(">u2") * 257).tobytes()),
    ("pgm of 10 bits", b"P5 50 40 1023\n" + np.round(GREY * (1023 / 255)).astype(">u2").tobytes()),
    ("pgm of 8 bits", b"P5 50 40 255\n" + GREY.tobytes()),
])  # fmt: skip
def test_grey_images_of_any_depth_keep_their_brightness(tmp_path, name, content):
    path = tmp_path / f"a.{name[:3]}"
    path.write_bytes(content)
    assert np.abs(grey_of(read_image(path)) - GREY).max() <= 1


@pytest.mark.parametrize("name, content", [
    ("png", png_of_16_bits(COLOUR.astype(np.uint16) * 257)),
    ("tif", tiff(COLOUR.astype(np.uint16) * 257, 16, 2)),
    ("tif, big endian", tiff(COLOUR.astype(np.uint16) * 257, 16, 2, order=">")),
    ("ppm", b"P6 50 40 65535\n" + (COLOUR.astype(">u2") * 257).tobytes()),
    ("ppm of 8 bits", b"P6 50 40 255\n" + COLOUR.tobytes()),
])  # fmt: skip
def test_16_bit_colours_keep_their_values(tmp_path, name, content):
    path = tmp_path / f"a.{name[:3]}"
    path.write_bytes(content)
    assert np.abs(read_image(path)[:, :, ::-1].astype(int) - COLOUR).max() <= 1


@pytest.mark.parametrize("content", [
    tiff(GREY.astype(np.float32) / 255, 32, sample_format=3), tiff(GREY.astype(np.uint32) * 16843009, 32),
    tiff(GREY.astype(np.int16), 16, sample_format=2),
])  # fmt: skip
def test_pixels_of_unknown_range_are_refused(tmp_path, content):
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tif"):
        read_image(tmp_path / "a.tif")


def test_transparent_pixels_are_black_whatever_their_colour(tmp_path):
    alpha = np.zeros(GREY.shape, np.uint8)
    alpha[:, 20:], alpha[:, 30:] = 128, 255
    wanted = np.round(COLOUR * (alpha[:, :, None] / 255)).astype(int)
    Image.fromarray(np.dstack([COLOUR, alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([COLOUR, alpha])).save(tmp_path / "rgba.webp", lossless=True, exact=True)
    Image.fromarray(np.dstack([COLOUR, alpha])).save(tmp_path / "rgba.tif")
    for name in ("rgba.png", "rgba.webp", "rgba.tif"):
        assert np.abs(read_image(tmp_path / name)[:, :, ::-1] - wanted).max() <= 1
    Image.fromarray(np.dstack([GREY, alpha])).save(tmp_path / "la.png")
    assert np.abs(grey_of(read_image(tmp_path / "la.png")) - np.round(GREY * (alpha / 255))).max() <= 1


def test_a_palette_with_a_transparent_colour(tmp_path):
    image = Image.new("P", (4, 2), 1)
    image.putpalette([255, 255, 255, 10, 20, 30, 200, 100, 50])
    image.putpixel((0, 0), 0)
    image.putpixel((1, 0), 2)
    image.save(tmp_path / "a.png", transparency=0)
    result = read_image(tmp_path / "a.png")[:, :, ::-1]
    assert result[0, :3].tolist() == [[0, 0, 0], [200, 100, 50], [10, 20, 30]]
    image.save(tmp_path / "b.png")
    assert read_image(tmp_path / "b.png")[0, 0].tolist() == [255, 255, 255]


def test_one_bit_and_cmyk(tmp_path):
    bits = (GREY > 100).astype(np.uint8)
    for name in ("a.png", "a.tif", "a.pbm"):
        Image.fromarray(bits * 255).convert("1").save(tmp_path / name)
        assert np.array_equal(grey_of(read_image(tmp_path / name)), bits * 255)
    Image.fromarray(np.dstack([255 - COLOUR, np.zeros_like(GREY)]), "CMYK").save(tmp_path / "a.jpg", quality=98)
    Image.fromarray(np.dstack([255 - COLOUR, np.zeros_like(GREY)]), "CMYK").save(tmp_path / "cmyk.tif")
    for name in ("a.jpg", "cmyk.tif"):
        assert np.abs(read_image(tmp_path / name)[:, :, ::-1].astype(int) - COLOUR).mean() < 3


WAYS = {1: lambda p: p, 2: lambda p: p[:, ::-1], 3: lambda p: p[::-1, ::-1], 4: lambda p: p[::-1],
        5: lambda p: p.swapaxes(0, 1), 6: lambda p: np.rot90(p, -1), 7: lambda p: p[::-1, ::-1].swapaxes(0, 1),
        8: lambda p: np.rot90(p)}  # fmt: skip


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_of_exif(tmp_path, ending, orientation):
    image = Image.fromarray(COLOUR)
    exif = image.getexif()
    exif[0x0112] = orientation
    image.save(tmp_path / f"a.{ending}", exif=exif, quality=100, lossless=True)
    result = read_image(tmp_path / f"a.{ending}")[:, :, ::-1].astype(int)
    wanted = WAYS[orientation](COLOUR)
    assert result.shape == wanted.shape and np.abs(result - wanted).mean() < 3


def test_a_folder_may_mix_formats_and_hold_hidden_files_of_macos(tmp_path):
    for number, ending in enumerate(("tiff", "pgm", "ppm", "png")):
        Image.fromarray(GREY if ending == "pgm" else COLOUR).save(tmp_path / f"{number}.{ending}")
        (tmp_path / f"._{number}.{ending}").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X" + bytes(50))
    os.mkfifo(tmp_path / "4.jpg")
    os.symlink("/dev/zero", tmp_path / "5.jpg")
    assert len(read_frames(tmp_path, 9)) == 4


@pytest.mark.parametrize("name", ["a", "a.mp4", "a.jpe", "A.JFIF"])
def test_an_image_is_recognised_by_its_content(tmp_path, name):
    Image.fromarray(COLOUR).save(tmp_path / name, "JPEG", quality=98)
    (result,) = read_frames(tmp_path / name, 3)
    assert np.abs(result[:, :, ::-1].astype(int) - COLOUR).mean() < 3


def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    os.symlink("/dev/zero", tmp_path / "zero.png")
    for name in ("pipe.jpg", "zero.png"):
        with pytest.raises(InputError, match=name):
            read_frames(tmp_path / name, 1)


def test_postscript_with_the_name_of_an_image_runs_nothing(tmp_path):
    """Pillow would pass it to Ghostscript if that is on the PATH."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\necho run > {tmp_path}/mark\nexit 1\n")
    (tmp_path / "gs").chmod(0o755)
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\nshowpage\n%%EOF\n"
    for name in ("a.jpg", "a.png", "a.tif"):
        (tmp_path / name).write_text(text)
        code = "import sys; from avsv.media.images import read_frames; read_frames(sys.argv[1], 1)"
        path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run([sys.executable, "-c", code, str(tmp_path / name)], env=os.environ | {"PATH": path},
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert "InputError" in done.stderr and not (tmp_path / "mark").exists()


def test_one_good_image_in_a_folder_is_enough(tmp_path):
    cv2.imwrite(str(tmp_path / "good.png"), COLOUR)
    (tmp_path / "a.tif").write_bytes(tiff(GREY.astype(np.float32), 32, sample_format=3))
    (tmp_path / "b.jpg").write_text("%!PS-Adobe-3.0 EPSF-3.0\n")
    assert len(read_frames(tmp_path, 5)) == 1
