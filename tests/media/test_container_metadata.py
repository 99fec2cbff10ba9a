"""Display matrices, pixel aspect ratios and edit lists are applied by the standards, in mp4 and other containers."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from avsv.media.frames import video_frames
from avsv.media.images import read_frames
from tests.fuzz.container_metadata import (
    TURNS,
    check_many,
    check_shown,
    number_of,
    numbered,
    slope,
    write_movie,
)
from tests.media.boxes import scales, with_aspect, with_edits, with_matrix


def test_random_metadata_of_an_mp4_are_applied_by_the_standard():
    check_many(seed=1, n_cases=25)


def write_as(path, codec, pix_fmt, images, sar=None, turn=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.bit_rate = 4_000_000
        if sar:
            stream.codec_context.sample_aspect_ratio = stream.sample_aspect_ratio = Fraction(*sar)
        if turn is not None:
            (a, c), (b, d) = turn
            stream.set_display_matrix([int(v * 65536) for v in (a, b, 0, c, d, 0, 0, 0)] + [1 << 30])
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")))
        container.mux(stream.encode())


def display_size(webm, width, height):
    """Add DisplayWidth and DisplayHeight to the video track of a webm file, in space taken from its tags."""
    more = b"\x54\xb0\x82" + struct.pack(">H", width) + b"\x54\xba\x82" + struct.pack(">H", height)
    data = bytearray(webm)
    tracks = data.rindex(bytes.fromhex("1654AE6B"))  # the last occurrence: an index before it has the same bytes
    entry = data.index(0xAE, tracks + 4 + (8 if data[tracks + 4] == 1 else 1))
    tags = data.rindex(bytes.fromhex("1254C367"))
    n_tags = 5 + data[tags + 4] - 0x80
    # the element that ends where the tags begin; the same byte may occur in a random number before it
    [video] = [at for at in range(entry, tags) if data[at] == 0xE0 and at + 2 + data[at + 1] - 0x80 == tags]
    data[tags : tags + n_tags] = more + bytes([0xEC, 0x80 + n_tags - 12]) + bytes(n_tags - 12)
    data[video + 1] += len(more)
    for place in (tracks + 4, entry + 1):  # sizes of one or of eight bytes
        end = place + (8 if data[place] == 1 else 1)
        data[place:end] = (int.from_bytes(data[place:end], "big") + len(more)).to_bytes(end - place, "big")
    return bytes(data)


def test_the_display_size_of_webm_sets_the_pixel_aspect_ratio(tmp_path):
    square = cv2.resize(slope(), (640, 360))
    write_as(tmp_path / "a.webm", "libvpx-vp9", "yuv420p", [cv2.resize(square, (480, 360))] * 12)
    (tmp_path / "a.webm").write_bytes(display_size((tmp_path / "a.webm").read_bytes(), 640, 360))
    shown = read_frames(tmp_path / "a.webm", 1)[0]
    assert shown.shape == (360, 640, 3)
    assert np.abs(shown.astype(int) - square).mean() < 6


FORMS = [("a.mp4", "libx264", "yuv420p"), ("a.mov", "libx264", "yuv420p"), ("a.mkv", "libx264", "yuv420p"),
         ("a.avi", "mpeg4", "yuv420p"), ("a.mpg", "mpeg2video", "yuv420p"),
         ("a.ts", "mpeg2video", "yuv420p"), ("a.h264", "libx264", "yuv420p"), ("a.mxf", "mpeg2video", "yuv420p"),
         ("a.asf", "mpeg4", "yuv420p"), ("a.flv", "libx264", "yuv420p")]  # fmt: skip


@pytest.mark.parametrize("name, codec, pix_fmt", FORMS)
def test_images_are_scaled_to_square_pixels(tmp_path, name, codec, pix_fmt):
    square = cv2.resize(slope(), (640, 360))
    write_as(tmp_path / name, codec, pix_fmt, [cv2.resize(square, (480, 360))] * 12, sar=(4, 3))
    result = [read_frames(tmp_path / name, 1)[0]]
    if name != "a.h264":  # a format without time stamps
        result.append(next(video_frames(tmp_path / name))[1])
    for shown in result:
        assert shown.shape == (360, 640, 3)
        assert np.abs(shown.astype(int) - square).mean() < 6


@pytest.mark.parametrize("turn", TURNS, ids=lambda turn: str(turn.tolist()))
def test_all_eight_orientations_in_an_mp4(tmp_path, turn):
    data = write_movie(tmp_path / "a.mp4", [slope()] * 3)
    stored = read_frames(tmp_path / "a.mp4", 1)[0]
    (tmp_path / "a.mp4").write_bytes(with_matrix(data, turn.T))
    x, y = np.meshgrid(np.arange(stored.shape[1]), np.arange(stored.shape[0]))
    at = np.stack([turn[0, 0] * x + turn[0, 1] * y, turn[1, 0] * x + turn[1, 1] * y])
    at -= at.min(axis=(1, 2), keepdims=True)
    wanted = np.zeros((at[1].max() + 1, at[0].max() + 1, 3), np.uint8)
    wanted[at[1], at[0]] = stored
    assert np.array_equal(read_frames(tmp_path / "a.mp4", 1)[0], wanted)


@pytest.mark.parametrize("turn", [TURNS[i] for i in (1, 3, 4, 5, 6)], ids=lambda turn: str(turn.tolist()))
def test_orientations_in_matroska(tmp_path, turn):
    write_as(tmp_path / "a.mkv", "libx264", "yuv420p", [slope()] * 3)
    stored = read_frames(tmp_path / "a.mkv", 1)[0]
    write_as(tmp_path / "b.mkv", "libx264", "yuv420p", [slope()] * 3, turn=turn)
    check_shown(stored, read_frames(tmp_path / "b.mkv", 1)[0], turn, turn.tolist())


def test_invalid_aspect_ratios_are_ignored(tmp_path):
    data = write_movie(tmp_path / "a.mp4", [slope()] * 3)
    for aspect in ((65535, 1), (1, 1 << 31), (0, 1), (1, 0), (0, 0)):
        (tmp_path / "b.mp4").write_bytes(with_aspect(data, *aspect))
        assert read_frames(tmp_path / "b.mp4", 1)[0].shape == slope().shape


def test_singular_display_matrices_are_ignored(tmp_path):
    data = write_movie(tmp_path / "a.mp4", [slope()] * 3)
    for matrix in (((0, 0), (0, 0)), ((1, 0), (1, 0)), ((1, 1), (1, 1))):
        (tmp_path / "b.mp4").write_bytes(with_matrix(data, matrix))
        assert read_frames(tmp_path / "b.mp4", 1)[0].shape == slope().shape


def test_a_trimmed_clip_has_no_hidden_frames_and_does_not_count_as_truncated(tmp_path):
    data = write_movie(tmp_path / "a.mp4", [numbered(number) for number in range(30)], gop=30)
    movie, media = scales(data)
    (tmp_path / "a.mp4").write_bytes(with_edits(data, [(5 * movie // 25, 20 * media // 25)]))
    assert [number_of(frame) for frame in read_frames(tmp_path / "a.mp4", 10)] == [20, 21, 22, 23, 24]
    assert [number_of(frame) for _, frame in video_frames(tmp_path / "a.mp4")] == [20, 21, 22, 23, 24]


def test_a_cover_image_is_not_the_video(tmp_path):
    _, jpg = cv2.imencode(".jpg", slope())
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 96, 64, "yuv420p"
        packet = av.Packet(jpg.tobytes())
        packet.stream, packet.pts, packet.dts, packet.time_base = cover, 0, 0, Fraction(1, 25)
        container.mux(packet)
        for number in range(4):
            container.mux(video.encode(av.VideoFrame.from_ndarray(numbered(number), format="bgr24")))
        container.mux(video.encode())
    assert [number_of(frame) for frame in read_frames(path, 4)] == [0, 1, 2, 3]


MATRICES = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}  # BT.709, BT.601, BT.2020: red and blue


def to_bgr(luma, blue, red, weights, bits, is_full):
    """Convert Y'CbCr by the definitions of ITU-R BT.709 and H.273 to (height, width, 3) in 0-255."""
    white = 2**bits - 1 if is_full else 219 * 2 ** (bits - 8)
    low, colour = (0, 2**bits - 1) if is_full else (16 * 2 ** (bits - 8), 224 * 2 ** (bits - 8))
    y, cb, cr = (luma - low) / white, (blue - 2 ** (bits - 1)) / colour, (red - 2 ** (bits - 1)) / colour
    r, b = y + 2 * (1 - weights[0]) * cr, y + 2 * (1 - weights[1]) * cb
    g = (y - weights[0] * r - weights[1] * b) / (1 - sum(weights))
    return np.round(np.clip(np.stack([b, g, r], 2), 0, 1) * 255)


@pytest.mark.parametrize("is_full", [False, True])
@pytest.mark.parametrize("space", MATRICES)
@pytest.mark.parametrize("pix_fmt, bits", [("yuv444p", 8), ("yuv444p10le", 10), ("yuv444p12le", 12)])
def test_colours_of_any_depth_matrix_and_range(tmp_path, pix_fmt, bits, space, is_full):
    down, across = np.mgrid[:48, :64]
    planes = [part * 2 ** (bits - 8) for part in (60 + 2 * across, 100 + down, 160 - down)]
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pix_fmt
        frame = av.VideoFrame(64, 48, pix_fmt)
        for plane, values in zip(frame.planes, planes, strict=True):
            rows = values.astype("u1" if bits == 8 else "<u2").view(np.uint8)
            plane.update(np.pad(rows, ((0, 0), (0, plane.line_size - rows.shape[1]))))
        frame.colorspace = stream.codec_context.colorspace = space
        frame.color_range = stream.codec_context.color_range = 2 if is_full else 1
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    wanted = to_bgr(*planes, MATRICES[space], bits, is_full)
    assert np.abs(read_frames(tmp_path / "a.mkv", 1)[0] - wanted).max() <= 1
