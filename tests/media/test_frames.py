"""All frames of a video carry times on the clock of its audio."""

import numpy as np
import pytest
import soundfile

from avsv.errors import InputError
from avsv.media.frames import video_frames
from avsv.media.waveforms import read_waveform
from tests.systems.synchrony.talking import write_talk


def shown(path):
    return [round(time, 3) for time, _ in video_frames(path)]


@pytest.mark.parametrize("fps", [24, 25, 30, 50])
def test_frames_have_the_times_of_the_file(tmp_path, fps):
    times = np.arange(12) / fps
    write_talk(tmp_path / "a.mp4", [[0.5]] * 12, times)
    assert shown(tmp_path / "a.mp4") == pytest.approx(times.round(3).tolist(), abs=1e-3)


def test_a_variable_frame_rate_keeps_its_times(tmp_path):
    times = [0, 0.04, 0.1, 0.3, 0.32, 0.5]
    write_talk(tmp_path / "a.mp4", [[0.5]] * 6, times)
    assert shown(tmp_path / "a.mp4") == pytest.approx(times, abs=1e-3)


def test_audio_that_starts_late_is_preceded_by_silence(tmp_path):
    click = np.zeros(16000, np.float32)
    click[4000:4400] = 0.9
    for delay in (0.0, 0.25):
        write_talk(tmp_path / "a.mp4", [[0.5]] * 30, np.arange(30) / 25, click, audio_start=delay)
        loud = np.abs(read_waveform(str(tmp_path / "a.mp4"))) > 0.3
        assert np.flatnonzero(loud)[0] / 16000 == pytest.approx(0.25 + delay, abs=0.004)


def test_an_audio_file_starts_at_time_0(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.full(800, 0.5), 16000)
    assert len(read_waveform(str(tmp_path / "a.wav"))) == 800


def test_files_without_video_or_without_audio_are_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 16000)
    for name in ("b.mp4", "a.mp4", "a.wav", ""):
        with pytest.raises(InputError, match=str(tmp_path / name)):
            list(video_frames(tmp_path / name))
    write_talk(tmp_path / "silent.mp4", [[0.5]] * 3, np.arange(3) / 25)
    with pytest.raises(InputError, match=r"silent\.mp4"):
        read_waveform(str(tmp_path / "silent.mp4"))
