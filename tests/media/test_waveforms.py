import av
import numpy as np
import pytest
import soundfile

from avsv.errors import InputError
from avsv.media.waveforms import WaveformStore, audio_duration, audio_durations, read_part, read_waveform


def write_aac(path, seconds=1.0, rate=16000, video=False):
    times = np.arange(int(seconds * rate)) / rate
    sound = (0.5 * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    with av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=rate, layout="mono")
        for begin in range(0, len(sound), 1024):
            frame = av.AudioFrame.from_ndarray(sound[None, begin : begin + 1024], "fltp", "mono")
            frame.rate, frame.pts = rate, begin
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def pitch(sound, rate=16000):
    return np.abs(np.fft.rfft(sound)).argmax() * rate / len(sound)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
@pytest.mark.parametrize("rate", [6000, 16000, 48000])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_any_rate_and_channels_become_mono_at_16_khz(tone, name, rate, channels):
    sound = read_waveform(str(tone(name, rate=rate, channels=channels)))
    assert sound.dtype == np.float32 and sound.ndim == 1
    assert abs(len(sound) - 16000) <= 2
    assert pitch(sound) == pytest.approx(440, abs=2)
    assert np.abs(sound[2000:-2000]).max() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", ["a.m4a", "a.mp4"])
@pytest.mark.parametrize("rate", [16000, 48000])
def test_aac_is_decoded(tmp_path, name, rate):
    sound = read_waveform(str(write_aac(tmp_path / name, rate=rate)))
    assert pitch(sound) == pytest.approx(440, abs=3)
    assert audio_duration(str(tmp_path / name)) == pytest.approx(1.0, abs=0.15)


def test_a_pipe_runs_only_when_allowed(tone):
    path = tone("a b.wav")
    with pytest.raises(InputError, match="--allow-pipes"):
        read_waveform(f"cat '{path}' |")
    assert len(read_waveform(f"cat '{path}' |", allow_pipes=True)) == 16000
    with pytest.raises(InputError, match="ended with status 3"):
        read_waveform("exit 3 |", allow_pipes=True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("zero.wav", b"", "cannot be read as sound"),
        ("text.wav", b"no sound here at all", "cannot be read as sound"),
        ("text.m4a", b"no sound here at all", "cannot be read as sound"),
        ("zero.mp4", b"", "cannot be read as sound"),
        ("gone.wav", None, "no such file"),
        ("gone.m4a", None, "no such file"),
    ],
)
def test_what_is_no_sound_is_told(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_waveform(str(path))
    assert str(path) in str(error.value)


def test_a_truncated_m4a_is_told(tmp_path):
    path = write_aac(tmp_path / "cut.m4a", seconds=3)
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(InputError, match="cannot be read as sound"):
        read_waveform(str(path))


def test_no_samples_and_nan_are_told(tmp_path):
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 16000)
    with pytest.raises(InputError, match="no samples"):
        read_waveform(str(tmp_path / "none.wav"))
    soundfile.write(tmp_path / "nan.wav", np.array([0.1, np.nan]), 16000, subtype="FLOAT")
    with pytest.raises(InputError, match="NaN"):
        read_waveform(str(tmp_path / "nan.wav"))


def test_parts_of_a_file_are_those_of_the_whole(tone):
    path = str(tone("a.wav", seconds=2))
    whole = read_waveform(path)
    assert np.array_equal(read_part(path, 0.5, 8000), whole[12000:20000])
    assert len(read_part(path, 0.9, 50000)) == 50000
    store = WaveformStore([path], max_mib=10)
    assert np.abs(store.part(path, 0.5, 8000) - whole[12000:20000]).max() < 1e-4
    assert np.array_equal(WaveformStore([path], max_mib=0).part(path, 0.5, 8000), whole[12000:20000])


@pytest.mark.parametrize("begin", [0.0, 0.99999, 1.0])
def test_a_part_has_the_length_asked_for_wherever_it_begins(tone, begin):
    path = str(tone("a.wav", seconds=1))
    for n_samples in (1, 15999, 16000, 16001):
        assert len(read_part(path, begin, n_samples)) == n_samples
        assert len(WaveformStore([path], max_mib=10).part(path, begin, n_samples)) == n_samples


def test_lengths_of_many_files_and_reasons_for_the_rest(tone, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"x")
    seconds, bad = audio_durations({"a": str(tone("a.wav", seconds=2)), "b": str(tmp_path / "bad.wav")}, jobs=1)
    assert seconds == {"a": 2.0} and list(bad) == ["b"]
