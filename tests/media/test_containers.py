"""Opening media files: unusual names, tags in other encodings, and FIFOs."""

import os

import pytest

from avsv.errors import InputError
from avsv.media.containers import open_container
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import WaveformStore, audio_duration, read_part, read_waveform
from tests.media.hostile import audio_bytes, movie_bytes, speech


@pytest.mark.parametrize("name", ["12:30.mp4", "file:x.mp4", "http:x.mp4", "concat:x.mp4|y.mp4", "a%03d.mp4", "-.mp4"])
def test_a_relative_name_is_never_taken_for_a_protocol(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.mp4").write_bytes(movie_bytes(speech(2), 0))  # "file:x.mp4" must not lead here
    (tmp_path / name).write_bytes(movie_bytes(speech(1), 0))
    assert len(read_waveform(name)) / 16000 == pytest.approx(1, abs=0.13)
    assert audio_duration(name) == pytest.approx(1, abs=0.13)


@pytest.mark.parametrize("name", ["12:30.wav", "file:x.wav"])
def test_a_wav_file_with_a_colon_is_read(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(audio_bytes(speech(1), "wav"))
    assert len(read_waveform(name)) == 16000


def test_a_file_with_tags_in_latin_1_is_read(tmp_path):
    import av

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as out:
        out.metadata["title"] = "Zoë says"
        stream = out.add_stream("aac", rate=16000, layout="mono")
        for begin in range(0, 16384, 1024):
            frame = av.AudioFrame.from_ndarray(speech(2)[None, begin : begin + 1024], "fltp", "mono")
            frame.rate, frame.pts = 16000, begin
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    path.write_bytes(path.read_bytes().replace("Zoë says".encode(), b"Zo\xeb  says"))
    with pytest.raises(UnicodeDecodeError):
        av.open(str(path))
    with open_container(path) as container:
        assert container.metadata["title"].endswith("says")
    assert len(read_waveform(str(path))) >= 16384


@pytest.mark.parametrize("name", ["pipe.wav", "pipe.mp4"])
def test_a_fifo_is_refused_at_once(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for read in (read_waveform, audio_duration, open_container):
        with pytest.raises(InputError, match=name):
            read(str(tmp_path / name))


def test_a_fifo_among_the_noises_is_refused(tmp_path):
    os.mkfifo(tmp_path / "noise.wav")
    with pytest.raises(InputError, match=r"noise\.wav"):
        read_part(str(tmp_path / "noise.wav"), 0.5, 800)
    with pytest.raises(InputError, match=r"noise\.wav"):
        guarded(read_part, str(tmp_path / "noise.wav"), 0.5, 800)
    assert list(WaveformStore([str(tmp_path / "noise.wav")], 10).bad) == [str(tmp_path / "noise.wav")]
