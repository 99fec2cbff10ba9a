"""Audio with missing or late packets, or time stamps that start anywhere, is placed by the packets' time stamps.

The expected samples come from a complete file, moved to the time stamps that a separate demuxer reads from the file
under test. AVSV_FUZZ=N tries N files instead of a few.
"""

import logging
import os
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from avsv.errors import InputError
from avsv.media.frames import video_frames
from avsv.media.waveforms import audio_duration, read_waveform
from tests.media.gaps import FORMS, RATE, VIDEO_CODECS, write_container

N_TRIED = int(os.environ.get("AVSV_FUZZ", "9"))
SECONDS = 1.5
N_SAMPLES = round(SECONDS * RATE)
NOISE = np.random.default_rng(0).normal(0, 0.1, N_SAMPLES).astype(np.float32)
# a tone that changes every 5 ms; noise would not do, because AAC and AC-3 decode it differently each time
PITCH = np.repeat(np.random.default_rng(1).uniform(300, 3000, N_SAMPLES // 240 + 1), 240)[:N_SAMPLES]
TONES = (0.3 * np.sin(2 * np.pi * np.cumsum(PITCH) / RATE)).astype(np.float32)


def packet_times(path):
    """Times of the audio packets ; the earliest time of any packet, but at least 0."""
    with av.open(str(path)) as container:
        packets = [(packet.stream.type, float(packet.pts * packet.time_base))
                   for packet in container.demux() if packet.pts is not None]  # fmt: skip
    return [time for kind, time in packets if kind == "audio"], max(0.0, min(time for _, time in packets))


def draw_file(rng, form):
    """Draw arguments of `write_container`: at most three gaps, possibly a video, possibly a late start."""
    n_packets = round(SECONDS * RATE / 1536)
    drop = {int(first) + i for first in rng.integers(4, n_packets - 6, rng.integers(0, 3))
            for i in range(int(rng.integers(1, 5)))}  # fmt: skip
    arguments = {"drop": drop, "begin": float(rng.choice([0.0, 0.0, 1.5, 30.0]))}
    if form in VIDEO_CODECS and rng.random() < 0.5:
        arguments |= {"images": SECONDS, "late": float(rng.choice([0.0, 0.12, 0.5]))}
    if rng.random() < 0.3:
        arguments["moved"] = {int(rng.integers(6, n_packets - 6)): float(rng.choice([0.2, 0.05]))}
    return arguments


@pytest.mark.parametrize("seed", range(N_TRIED))
def test_every_packet_is_placed_by_its_time_stamp(tmp_path, seed):
    rng = np.random.default_rng(seed)
    form = list(FORMS)[seed % len(FORMS)]
    whole, holed = tmp_path / f"whole.{form}", tmp_path / f"holed.{form}"
    write_container(whole, TONES)
    arguments = draw_file(rng, form)
    kept = write_container(holed, TONES, **arguments)
    complete, result = read_waveform(str(whole), RATE), read_waveform(str(holed), RATE)
    (whole_times, whole_zero), (times, zero) = packet_times(whole), packet_times(holed)
    assert len(times) == len(kept)
    inner = slice(200, 700)  # of a packet, which has 960 samples at least; stamps are rounded to 1 ms
    covered = np.zeros(len(result) + RATE, bool)
    moved = arguments.get("moved", {})
    compared, previous, previous_follows = 0, -2, False
    for number, time in zip(kept[:-1], times, strict=False):
        in_whole, in_holed = round((whole_times[number] - whole_zero) * RATE), round((time - zero) * RATE)
        covered[max(0, in_holed - 100) : max(0, in_holed + 1700)] = True
        # a decoder needs the packets before
        follows = number == previous + 1 and number > 4 and not moved.keys() & {number, number - 1, number - 2}
        if follows and previous_follows and min(in_whole, in_holed) >= 1100:
            expected = complete[in_whole:][inner]
            reach = 100 if compared else 1100  # 2 ms; encoder priming before the first packet may have been removed
            around = result[in_holed + inner.start - reach :][: inner.stop - inner.start + 2 * reach]
            errors = np.square(np.lib.stride_tricks.sliding_window_view(around, len(expected)) - expected).mean(1)
            assert errors.min() < 0.3 * np.square(expected).mean(), (form, arguments, number)
            if not compared:
                zero -= (errors.argmin() - reach) / RATE
            compared += 1
        previous, previous_follows = number, follows
    assert compared > 5
    silent = np.flatnonzero(~covered[: len(result)])
    assert not result[silent[silent < len(result) - 4000]].any()  # what is missing is silence
    assert audio_duration(str(holed)) == pytest.approx(len(result) / RATE, abs=0.15)


def write_images_and_click(path, **arguments):
    """A 50 ms noise burst at 1 s of the audio's own time, with grey images whose value is their number."""
    waveform = np.zeros(round(SECONDS * RATE), np.float32)
    waveform[RATE : RATE + RATE // 20] = 0.8 * np.sign(NOISE[: RATE // 20])
    write_container(path, waveform, images=SECONDS, **arguments)


@pytest.mark.parametrize("form", list(VIDEO_CODECS))
@pytest.mark.parametrize(("late", "begin"), [(0.0, 0.0), (0.3, 0.0), (0.0, 60.0), (0.3, 60.0), (-0.3, 60.0)])
def test_audio_and_video_share_a_clock(tmp_path, form, late, begin):
    path = tmp_path / f"a.{form}"
    write_images_and_click(path, late=late, begin=begin)
    heard = np.flatnonzero(np.abs(read_waveform(str(path), RATE)) > 0.2)[0] / RATE
    times = [time for time, _ in video_frames(path)]
    # frame k is at k / 25 s of the video's own time, and the audio starts `late` seconds after the video
    assert heard - times[0] == pytest.approx(1 + late, abs=0.015)
    assert min(times[0], heard - 1) == pytest.approx(0, abs=0.03)
    assert np.allclose(np.diff(times), 0.04, atol=2e-3)


def test_a_gap_is_logged_once_with_its_file(tmp_path, caplog):
    path = tmp_path / "a.mkv"
    write_container(path, NOISE, drop={20, 21, 40})
    with caplog.at_level(logging.WARNING, "avsv"):
        read_waveform(str(path))
    assert [str(path) in message for message in caplog.messages] == [True]
    caplog.clear()
    write_container(path, NOISE)
    read_waveform(str(path))
    assert not caplog.messages


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_a_missing_ogg_page_becomes_silence(tmp_path, subtype):
    whole, holed = tmp_path / "whole.ogg", tmp_path / "holed.ogg"
    noise = np.random.default_rng(1).normal(0, 0.1, 48000 * 6)
    soundfile.write(whole, noise, 48000, format="OGG", subtype=subtype)
    data, pages, begin = whole.read_bytes(), [], 0
    while begin < len(data):
        n_segments = data[begin + 26]
        length = 27 + n_segments + sum(data[begin + 27 : begin + 27 + n_segments])
        pages.append(data[begin : begin + length])
        begin += length
    lost = len(pages) // 2
    holed.write_bytes(b"".join(page for number, page in enumerate(pages) if number != lost))
    first, last = (int.from_bytes(pages[number][6:14], "little") for number in (lost - 1, lost))
    complete, result = read_waveform(str(whole), 48000), read_waveform(str(holed), 48000)
    assert len(result) == len(complete)
    margin = 6000
    np.testing.assert_allclose(result[: first - margin], complete[: first - margin], atol=1e-3)
    np.testing.assert_allclose(result[last + margin :], complete[last + margin :], atol=1e-3)
    assert not result[first + margin : last - margin].any()


def test_a_duplicated_packet_is_heard_once(tmp_path):
    whole, doubled = tmp_path / "whole.mkv", tmp_path / "doubled.mkv"
    write_container(whole, NOISE)
    write_container(doubled, NOISE, moved={30: -2 * 1024 / RATE})  # the audio of two packets overlaps
    complete, result = read_waveform(str(whole), RATE), read_waveform(str(doubled), RATE)
    assert len(result) == pytest.approx(len(complete) - 2048, abs=100)
    np.testing.assert_allclose(result[:20000], complete[:20000], atol=1e-4)


def test_concatenated_files_follow_each_other(tmp_path, caplog):
    one, both = tmp_path / "one.ts", tmp_path / "both.ts"
    write_container(one, NOISE)
    both.write_bytes(Path(one).read_bytes() * 2)
    with caplog.at_level(logging.WARNING, "avsv"):
        result = read_waveform(str(both), RATE)
    assert len(result) == pytest.approx(2 * SECONDS * RATE, abs=0.2 * RATE)
    assert any(str(both) in message for message in caplog.messages)


def test_an_ogg_file_without_the_page_before_its_last_one_is_refused(tmp_path):
    path = tmp_path / "a.ogg"
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, 48000 * 4), 48000, format="OGG", subtype="OPUS")
    data = path.read_bytes()
    last = data.rindex(b"OggS")
    before = data.rindex(b"OggS", 0, last)
    path.write_bytes(data[:before] + data[last:])
    with pytest.raises(InputError, match=r"a\.ogg"):
        read_waveform(str(path))
