"""Mixing of channels, choice of audio tracks, scaling of samples, and their log messages."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest
import soundfile
from av.stream import Disposition

from avsv.errors import InputError
from avsv.media.waveforms import WaveformStore, read_part, read_waveform
from tests.media.hostile import speech

WAVEFORM = speech(2)
OTHER = speech(2, seed=1)
HALF = len(WAVEFORM) // 2


def write(path, channels, subtype="PCM_24", rate=16000):
    soundfile.write(path, np.stack(channels, 1), rate, subtype=subtype)
    return str(path)


CANCELLING = {
    "opposite": [WAVEFORM, -WAVEFORM],
    "one weaker": [0.6 * WAVEFORM, -WAVEFORM],
    "with noise": [WAVEFORM, -WAVEFORM + 0.3 * OTHER],
    "with an offset": [WAVEFORM + 0.2, -WAVEFORM],
    "second half": [WAVEFORM, np.concatenate([WAVEFORM[:HALF], -WAVEFORM[HALF:]])],
    "two of six": [WAVEFORM, -WAVEFORM, 0 * WAVEFORM, 0 * WAVEFORM, 0.01 * OTHER, 0 * WAVEFORM],
}


@pytest.mark.parametrize("case", CANCELLING)
@pytest.mark.parametrize("form", ["wav", "mkv"])
def test_cancelling_channels_give_the_loudest_one_and_one_warning(tmp_path, caplog, case, form):
    path = write(tmp_path / "a.wav", CANCELLING[case])
    if form == "mkv":
        path = wrap(path, tmp_path / "a.mkv")
    with caplog.at_level(logging.WARNING, "avsv"):
        result = read_waveform(path)
    loudest = CANCELLING[case][np.argmax([np.var(channel) for channel in CANCELLING[case]])]
    np.testing.assert_allclose(result, loudest, atol=1e-4)
    assert [path in message for message in caplog.messages] == [True]


def wrap(path, out_path):
    """The same samples in a container that ffmpeg reads."""
    waveform, rate = soundfile.read(path, dtype="int32", always_2d=True)
    layout = {2: "stereo", 6: "5.1"}[waveform.shape[1]]
    with av.open(str(out_path), "w") as out:
        stream = out.add_stream("pcm_s32le", rate=rate, layout=layout)
        for begin in range(0, len(waveform), 1024):
            part = np.ascontiguousarray(waveform[begin : begin + 1024])
            frame = av.AudioFrame.from_ndarray(part.reshape(1, -1), "s32", layout)
            frame.rate, frame.pts, frame.time_base = rate, begin, Fraction(1, rate)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return str(out_path)


@pytest.mark.parametrize("channels", [
    [WAVEFORM, WAVEFORM], [WAVEFORM, OTHER], [WAVEFORM, 0 * WAVEFORM], [WAVEFORM, 0.5 * OTHER - 0.3 * WAVEFORM],
    [WAVEFORM, np.roll(WAVEFORM, 5)], [WAVEFORM + 1e-4 * OTHER, WAVEFORM], [0 * WAVEFORM, 0 * WAVEFORM], [WAVEFORM] * 8,
])  # fmt: skip
def test_other_channels_are_averaged_without_a_warning(tmp_path, caplog, channels):
    path = write(tmp_path / "a.wav", channels)
    with caplog.at_level(logging.WARNING, "avsv"):
        np.testing.assert_allclose(read_waveform(path), np.mean(channels, 0), atol=1e-4)
    assert not caplog.messages


def test_every_way_to_read_uses_the_same_channel(tmp_path):
    path = write(tmp_path / "a.wav", [WAVEFORM, -WAVEFORM], "PCM_16")
    parts = [
        read_part(path, 0.5, 800),
        WaveformStore([path], 10).part(path, 0.5, 800),
        WaveformStore([path], 0).part(path, 0.5, 800),
    ]
    for part in parts:
        np.testing.assert_allclose(part, read_waveform(path)[(len(WAVEFORM) - 800 + 1) // 2 :][:800], atol=1e-4)


SCALES = {
    "16 bits": (np.round(WAVEFORM * 32767), 2.0**15),
    "16 bits, resampled": (WAVEFORM * 32767.3, 2.0**15),
    "16 bits, quiet": (np.round(WAVEFORM * 20), 2.0**15),
    "24 bits": (np.round(WAVEFORM.astype(float) * (2**23 - 1)), 2.0**23),
    "32 bits": (np.round(WAVEFORM.astype(float) * (2**31 - 1)), 2.0**31),
    "full scale": (WAVEFORM, 1.0),
    "beyond full scale": (WAVEFORM / np.abs(WAVEFORM).max() * 1.7, 1.0),
    "square": (np.sign(WAVEFORM), 1.0),
}


@pytest.mark.parametrize("n_channels", [1, 2])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("case", SCALES)
def test_floats_have_one_scale_wherever_they_are_read(tmp_path, case, subtype, n_channels):
    numbers, scale = SCALES[case]
    path = write(tmp_path / "a.wav", [numbers] * n_channels, subtype)
    right = numbers / scale
    np.testing.assert_allclose(read_waveform(path), right, rtol=1e-5, atol=1e-6)
    begin = int(0.3 * (len(right) - 800 + 1))
    for part in (read_part(path, 0.3, 800), WaveformStore([path], 0).part(path, 0.3, 800)):
        np.testing.assert_allclose(part, right[begin : begin + 800], rtol=1e-5, atol=1e-6)
    kept = WaveformStore([path], 10).part(path, 0.3, 800)  # 16 bits of the loudest sample
    np.testing.assert_allclose(kept, right[begin : begin + 800], atol=max(1, np.abs(right).max()) / 32767)


@pytest.mark.parametrize("factor", [20.0, 100.0, 1e12])
def test_floats_of_unknown_scale_are_refused_everywhere(tmp_path, factor):
    path = write(tmp_path / "a.wav", [WAVEFORM / np.abs(WAVEFORM).max() * factor], "DOUBLE")
    for read in (read_waveform, lambda path: read_part(path, 0.5, 800)):
        with pytest.raises(InputError, match=r"a\.wav"):
            read(path)
    assert path in WaveformStore([path], 10).bad[path]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_single_non_finite_sample_is_refused_everywhere(tmp_path, value):
    bad = WAVEFORM.copy()
    bad[1000] = value
    for n_channels, rate in ((1, 16000), (2, 16000), (1, 44100)):
        path = write(tmp_path / "a.wav", [bad] * n_channels, "FLOAT", rate)
        for read in (read_waveform, lambda path: read_part(path, 0.9, 800)):
            with pytest.raises(InputError, match=r"a\.wav"):
                read(path)


def write_tracks(path, tracks, default=None):
    with av.open(str(path), "w") as out:
        streams = [out.add_stream("aac", rate=16000, layout="mono") for _ in tracks]
        if default is not None:
            for number, stream in enumerate(streams, 1):
                stream.disposition = Disposition.default if number == default else Disposition(0)
        for stream, waveform in zip(streams, tracks, strict=True):
            for begin in range(0, len(waveform), 1024):
                frame = av.AudioFrame.from_ndarray(waveform[None, begin : begin + 1024], "fltp", "mono")
                frame.rate, frame.pts = 16000, begin
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return str(path)


def tone(hertz):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(32000) / 16000)).astype(np.float32)


def pitch(waveform):
    return round(np.abs(np.fft.rfft(waveform[:32000])).argmax() * 16000 / 32000, -1)


@pytest.mark.parametrize("form", ["mp4", "mkv"])
def test_the_default_track_is_read_unless_another_is_selected(tmp_path, form):
    path = write_tracks(tmp_path / f"a.{form}", [tone(300), tone(700), tone(1100)], default=2)
    assert pitch(read_waveform(path)) == 700
    assert [pitch(read_waveform(path, track=track)) for track in (1, 2, 3)] == [300, 700, 1100]
    for track in (4, 99):
        with pytest.raises(InputError, match=rf"a\.{form}.* {track} .* 3"):
            read_waveform(path, track=track)
    wav = write(tmp_path / "b.wav", [WAVEFORM])
    assert len(read_waveform(wav, track=1)) == len(WAVEFORM)
    with pytest.raises(InputError, match=r"b\.wav"):
        read_waveform(wav, track=2)


@pytest.mark.parametrize("form", ["mp4", "mkv"])
def test_a_silent_default_track_beside_another_one_is_refused(tmp_path, form):
    path = write_tracks(tmp_path / f"a.{form}", [0 * WAVEFORM, WAVEFORM])
    with pytest.raises(InputError, match=rf"a\.{form}.*`audio_track` 2"):
        read_waveform(path)
    assert np.abs(read_waveform(path, track=2)).max() > 0.1
    assert not read_waveform(path, track=1).any()
    assert not read_waveform(write_tracks(tmp_path / f"b.{form}", [0 * WAVEFORM, 0 * WAVEFORM])).any()
