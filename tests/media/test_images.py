"""Images of clips: the right frames, upright, and one clear error for every fault."""

import os

import av
import cv2
import numpy as np
import pytest

from avsv.errors import InputError
from avsv.media.images import evenly_spaced, read_frames


def write_video(path, n, codec="h264", gop=250, width=64, height=48):
    """Write a video whose frame i shows the number i as eleven black or white stripes."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = width, height, "yuv420p", gop
        for i in range(n):
            image = np.zeros((height, width, 3), np.uint8)
            for bit in range(11):
                image[:, bit * 5 : bit * 5 + 5] = 255 * (i >> bit & 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return path


def number(frame):
    return sum(int(frame[24, bit * 5 + 2].mean() > 128) << bit for bit in range(11))


@pytest.mark.parametrize("name, codec, n, gop", [
    ("a.mp4", "h264", 90, 250), ("keyframes.mp4", "h264", 300, 10), ("a.mkv", "h264", 90, 25),
    ("a.mpg", "mpeg1video", 90, 12), ("a.avi", "mpeg4", 90, 12),
])  # fmt: skip
def test_frames_of_a_video_are_the_evenly_spaced_ones(tmp_path, name, codec, n, gop):
    path = write_video(tmp_path / name, n, codec, gop)
    for wanted in (1, 5, 7):
        assert [number(frame) for frame in read_frames(path, wanted)] == evenly_spaced(n, wanted)


def test_a_clip_with_fewer_frames_yields_them_all(tmp_path):
    assert [number(frame) for frame in read_frames(write_video(tmp_path / "a.mp4", 3), 5)] == [0, 1, 2]


@pytest.mark.parametrize("turns, matrix", [(1, (0, -1, 1, 0)), (2, (-1, 0, 0, -1)), (3, (0, 1, -1, 0))])
def test_rotation_in_the_metadata_is_applied(tmp_path, turns, matrix):
    path = write_video(tmp_path / "a.mp4", 2)
    plain = read_frames(path, 1)[0]
    data = bytearray(path.read_bytes())
    box = data.index(b"tkhd")
    a, b, c, d = (int(v * 65536).to_bytes(4, "big", signed=True) for v in matrix)
    place = box + 4 + 4 + 20 + 8 + 8  # name, version, times and ids, reserved, layer to reserved: the matrix
    data[place : place + 36] = a + b + bytes(4) + c + d + bytes(4) + data[place + 24 : place + 36]
    path.write_bytes(data)
    turned = read_frames(path, 1)[0]
    assert np.array_equal(turned, np.rot90(plain, turns))


@pytest.fixture
def folder(tmp_path):
    """A folder of nine grey images; number i has the value 20 i."""
    for i in range(9):
        cv2.imwrite(str(tmp_path / f"{i:07d}.png"), np.full((10, 12, 3), 20 * i, np.uint8))
    (tmp_path / "notes.txt").write_text("not an image")
    return tmp_path


def shades(frames):
    return [int(frame.mean()) // 20 for frame in frames]


def test_images_of_a_folder_are_the_evenly_spaced_ones(folder):
    assert shades(read_frames(folder, 3)) == [1, 4, 7]
    assert shades(read_frames(folder, 20)) == list(range(9))


def test_an_unreadable_image_in_a_folder_is_skipped_with_a_warning(folder, caplog):
    (folder / "0000004.png").write_text("text")
    assert shades(read_frames(folder, 3)) == [1, 5, 7]
    assert "0000004.png" in caplog.text


def test_colours_are_bgr_and_exif_rotates(tmp_path):
    from PIL import Image

    image = Image.new("RGB", (20, 10), (255, 0, 0))
    exif = image.getexif()
    exif[0x0112] = 6  # rotate clockwise by 90 degrees
    image.save(tmp_path / "a.png", exif=exif)
    (frame,) = read_frames(tmp_path / "a.png", 5)
    assert frame.shape == (20, 10, 3) and frame[0, 0].tolist() == [0, 0, 255]


def test_grey_palette_and_transparent_images_become_colour(tmp_path):
    from PIL import Image

    for mode in ("L", "P", "RGBA", "CMYK"):
        path = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        Image.new(mode, (6, 4)).save(path.with_suffix(".jpg") if mode == "CMYK" else path)
    for path in tmp_path.iterdir():
        assert read_frames(path, 1)[0].shape == (4, 6, 3)


def bad_inputs(folder):
    good = write_video(folder / "good.mp4", 50).read_bytes()
    cv2.imwrite(str(folder / "good.jpg"), np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    jpeg = (folder / "good.jpg").read_bytes()
    contents = {"text.mp4": b"hello " * 50, "empty.mp4": b"", "cut.mp4": good[: len(good) // 2], "text.jpg": b"hello",
                "empty.jpg": b"", "cut.jpg": jpeg[: len(jpeg) // 2]}  # fmt: skip
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "nothing").mkdir()
    (folder / "spoilt").mkdir()
    (folder / "spoilt" / "a.jpg").write_text("text")
    os.mkfifo(folder / "pipe.mp4")
    with av.open(str(folder / "sound.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return [*contents, "nothing", "spoilt", "pipe.mp4", "sound.m4a", "absent.mp4", "absent/"]


def test_every_fault_is_an_error_that_names_the_file(tmp_path):
    for name in bad_inputs(tmp_path):
        with pytest.raises(InputError, match=str(tmp_path / name).rstrip("/") + ".*: .+"):
            read_frames(tmp_path / name, 3)


def test_a_video_with_fewer_frames_than_declared_is_refused(tmp_path):
    path = tmp_path / "front.mp4"
    with av.open(str(write_video(tmp_path / "a.mp4", 60, gop=10))) as source, \
            av.open(str(path), "w", options={"movflags": "faststart"}) as target:  # fmt: skip
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - (len(data) - data.index(b"mdat")) // 2])
    with pytest.raises(InputError, match=r"front\.mp4.* \d+ of 60 frames"):
        read_frames(path, 5)
