import av
import numpy as np
import pytest
import soundfile

from avsv.errors import InputError
from avsv.media.waveforms import WaveformStore, audio_duration, audio_durations, read_part, read_waveform


def write_aac(path, seconds=1.0, rate=16000, video=False):
    times = np.arange(int(seconds * rate)) / rate
    waveform = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=rate, layout="mono")
        for begin in range(0, len(waveform), 1024):
            frame = av.AudioFrame.from_ndarray(waveform[None, begin : begin + 1024], "fltp", "mono")
            frame.rate, frame.pts = rate, begin
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def pitch(waveform, rate=16000):
    return np.abs(np.fft.rfft(waveform)).argmax() * rate / len(waveform)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
@pytest.mark.parametrize("rate", [6000, 16000, 48000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_any_rate_and_channels_become_mono_at_16_khz(tone, name, rate, channels):
    waveform = read_waveform(str(tone(name, rate=rate, channels=channels)))
    assert waveform.dtype == np.float32 and waveform.ndim == 1
    assert abs(len(waveform) - 16000) <= 2
    assert pitch(waveform) == pytest.approx(440, abs=2)
    assert np.abs(waveform[2000:-2000]).max() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4"])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_aac_is_decoded(tmp_path, name, rate):
    waveform = read_waveform(str(write_aac(tmp_path / name, rate=rate)))
    assert pitch(waveform) == pytest.approx(440, abs=3)
    assert audio_duration(str(tmp_path / name)) == pytest.approx(1.0, abs=0.15)


def test_a_pipe_runs_only_when_allowed(tone):
    path = tone("a b.wav")
    with pytest.raises(InputError, match="allow_pipes"):
        read_waveform(f"cat '{path}' |")
    assert len(read_waveform(f"cat '{path}' |", allow_pipes=True)) == 16000
    with pytest.raises(InputError, match=r"exit 3.* status 3"):
        read_waveform("exit 3 |", allow_pipes=True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("zero.wav", b""),
        ("text.wav", b"no audio here at all"),
        ("text.m4a", b"no audio here at all"),
        ("zero.mp4", b""),
        ("gone.wav", None),
        ("gone.m4a", None),
    ],
)
def test_a_file_without_audio_is_refused(tmp_path, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=str(path)):
        read_waveform(str(path))


def test_a_truncated_m4a_is_refused(tmp_path):
    path = write_aac(tmp_path / "cut.m4a", seconds=3)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match=r"cut\.m4a"):
        read_waveform(str(path))


def test_empty_recordings_and_nan_are_refused(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16000)
    with pytest.raises(InputError, match=r"none\.wav"):
        read_waveform(str(tmp_path / "none.wav"))
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan]), 16000, subtype="FLOAT")
    with pytest.raises(InputError, match=r"nan\.wav.*NaN"):
        read_waveform(str(tmp_path / "nan.wav"))


def test_a_part_of_a_file_equals_that_part_of_the_whole(tone):
    path = str(tone("a.wav", seconds=2))
    whole = read_waveform(path)
    assert np.array_equal(read_part(path, 0.5, 8000), whole[12000:20000])
    assert len(read_part(path, 0.9, 50000)) == 50000
    store = WaveformStore([path], max_mib=10)
    assert np.abs(store.part(path, 0.5, 8000) - whole[12000:20000]).max() < 1e-4
    assert np.array_equal(WaveformStore([path], max_mib=0).part(path, 0.5, 8000), whole[12000:20000])


@pytest.mark.parametrize("begin", [0.0, 0.99999, 1.0])
def test_a_part_has_the_requested_length_wherever_it_begins(tone, begin):
    path = str(tone("a.wav", seconds=1))
    for n_samples in (1, 15999, 16000, 16001):
        assert len(read_part(path, begin, n_samples)) == n_samples
        assert len(WaveformStore([path], max_mib=10).part(path, begin, n_samples)) == n_samples


def test_durations_of_readable_files_and_reasons_for_the_others(tone, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"x")
    seconds, bad = audio_durations({"a": str(tone("a.wav", seconds=2)), "b": str(tmp_path / "bad.wav")}, jobs=1)
    assert seconds == {"a": 2.0} and list(bad) == ["b"]
