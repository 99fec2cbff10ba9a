"""Kaldi's segments: the samples that extract-segments would cut, and bad lines named by number."""

import numpy as np
import pytest
import soundfile

from avsv.errors import InputError
from avsv.kaldi.data_dir import read_data_dir, write_data_dir
from avsv.kaldi.segments import Segment, read_segments, segment_line
from avsv.media import decoding
from avsv.media import waveforms as sound
from avsv.media.decoder_process import guarded
from avsv.media.waveforms import audio_duration, read_part, read_waveform

RATE, SECONDS = 16000, 3


@pytest.fixture
def recording(tmp_path):
    noise = np.random.default_rng(0).normal(size=SECONDS * RATE).clip(-4, 4) / 8
    soundfile.write(tmp_path / "two words.wav", noise, RATE)
    return tmp_path / "two words.wav"


@pytest.fixture
def data_dir(tmp_path, recording):
    """A data directory with one recording and these segments."""

    def write(*lines):
        folder = tmp_path / "d"
        folder.mkdir(exist_ok=True)
        (folder / "wav.scp").write_text(f"rec {recording}\n")
        (folder / "segments").write_text("".join(f"{line}\n" for line in lines))
        utts = sorted({line.split()[0] for line in lines})
        (folder / "utt2spk").write_text("".join(f"{utt} s\n" for utt in utts))
        (folder / "spk2utt").write_text(f"s {' '.join(utts)}\n")
        return folder

    return write


@pytest.mark.parametrize(
    ("line", "begin", "end"),
    [("s-1 rec 0 1", 0, 16000), ("s-1 rec 1.25 2.5", 20000, 40000), ("s-1 rec 2.5 -1", 40000, 48000),
     ("s-1 rec 2.5 3.49", 40000, 48000), ("s-1\trec  2.3\t2.4 ", 36800, 38400), ("s-1 rec 1e0 1.5", 16000, 24000),
     ("s-1 rec 0.5 1 0", 8000, 16000)],
)  # fmt: skip
def test_a_segment_has_the_samples_between_its_times(data_dir, recording, line, begin, end):
    whole, _ = soundfile.read(recording, dtype="float32")
    segment = read_data_dir(data_dir(line)).wav["s-1"]
    for found in (read_waveform(segment), guarded(read_waveform, segment), read_part(segment, 0, None)):
        np.testing.assert_array_equal(found, whole[begin:end])
    assert audio_duration(segment) == pytest.approx((end - begin) / RATE)
    crop = read_part(segment, 0.5, 800)
    middle = (end - begin - 800 + 1) // 2
    np.testing.assert_array_equal(crop, whole[begin:end][middle : middle + 800])


@pytest.mark.parametrize("line", ["s-1 rec 3 3.2", "s-1 rec 2 3.5", "s-1 rec 1 1.05", "s-1 rec 2.95 3.2"])
def test_a_segment_outside_its_recording_spoils_only_its_utterance(data_dir, line):
    segments = read_data_dir(data_dir(line, "s-2 rec 0 1")).wav
    assert len(read_waveform(segments["s-2"])) == RATE
    with pytest.raises(InputError, match="two words"):
        read_waveform(segments["s-1"])


@pytest.mark.parametrize("line", ["s-2 rec 1", "s-2 rec 1 2 0 0", "s-2 other 1 2", "s-2 rec -1 2", "s-2 rec 2 1",
                                  "s-2 rec 1 1", "s-2 rec 0 0", "s-2 rec nan 1", "s-2 rec 0 inf", "s-2 rec 0 x",
                                  "s-2 rec 0 1 x", "s-2 rec 0 1 -1", "s-2 rec 0 1 0.5", "s-1 rec 1 2", "s-2 rec 0 -2",
                                  "s-2 rec inf -1"])  # fmt: skip
def test_a_bad_line_is_named_by_its_number(data_dir, line):
    with pytest.raises(InputError, match="segments, line 2: "):
        read_data_dir(data_dir("s-1 rec 0 1", line))


def test_many_lines_are_read_as_by_a_loop(tmp_path):
    rng = np.random.default_rng(1)
    rows = [(f"u{i:06d}", f"r{i % 7}", round(float(rng.uniform(0, 99)), 3), i % 3 == 0) for i in range(10_000)]
    lines = [f"{u} {r} {s} {s + 1.5:.3f}{' 1' if c else ''}\n" for u, r, s, c in rows]
    (tmp_path / "segments").write_text("".join(lines))
    found = read_segments(tmp_path / "segments")
    assert found.table.keys.tolist() == [u.encode() for u, *_ in rows]
    assert found.recordings.tolist() == [r.encode() for _, r, *_ in rows]
    assert found.starts.tolist() == [s for *_, s, _ in rows]
    assert found.ends.tolist() == [float(f"{s + 1.5:.3f}") for *_, s, _ in rows]
    assert found.channels.tolist() == [1 if c else -1 for *_, c in rows]


def test_lengths_come_from_segments_if_utt2dur_has_none(data_dir):
    folder = data_dir("s-1 rec 0 1", "s-2 rec 1 2.5", "s-3 rec 1 -1")
    (folder / "utt2dur").write_text("s-1 0.9\n")
    assert read_data_dir(folder).seconds() == {"s-1": 0.9, "s-2": 1.5}


def test_segments_of_a_directory_round_trip(data_dir, tmp_path):
    data = read_data_dir(data_dir("s-1 rec 0 1", "s-2 rec 0.1 -1 0"))
    write_data_dir(tmp_path / "copy", {"utt2spk": data.utt2spk, "wav.scp": data.wav})
    assert read_data_dir(tmp_path / "copy").wav == data.wav
    whole = {utt: segment.path for utt, segment in data.wav.items()}
    write_data_dir(tmp_path / "copy", {"utt2spk": data.utt2spk, "wav.scp": whole})
    assert read_data_dir(tmp_path / "copy").wav == whole  # the old segments are gone


def test_a_whole_video_is_refused_for_a_segment(data_dir, recording):
    folder = data_dir("s-1 rec 0 1")
    (folder / "video.scp").write_text(f"s-1 {recording}\n")
    for media in (("wav.scp", "video.scp"), ("video.scp",)):
        with pytest.raises(InputError, match=r"video\.scp"):
            read_data_dir(folder, media)
    assert read_data_dir(folder, ("wav.scp",)).video == {}
    (folder / "video.scp").write_text("rec whole.mp4\n")
    with pytest.raises(InputError, match=r"video\.scp"):
        read_data_dir(folder)
    (folder / "video.scp").write_text("s-1 cut.mp4\n")
    assert read_data_dir(folder).video == {"s-1": "cut.mp4"}


def test_times_are_written_exactly():
    segment = Segment("a.wav", 0.1, 1 / 3, 1, "rec")
    name, start, end, channel = segment_line(segment).split()
    assert (name, float(start), float(end), int(channel)) == ("rec", 0.1, 1 / 3, 1)


@pytest.mark.parametrize(("ending", "rate"), [("wav", 16000), ("flac", 16000), ("wav", 44100)])
def test_only_the_segment_of_a_mono_integer_file_is_decoded(tmp_path, monkeypatch, ending, rate):
    noise = np.random.default_rng(2).normal(size=20 * rate).clip(-4, 4) / 8
    path = tmp_path / f"long.{ending}"
    soundfile.write(path, noise, rate)
    whole, _ = soundfile.read(path, dtype="float32")
    monkeypatch.setattr(sound, "kept_recording", None)
    found = read_waveform(Segment(str(path), 12.5, 14.0), rate)
    np.testing.assert_array_equal(found, whole[int(12.5 * rate) : 14 * rate])
    with pytest.raises(InputError, match="long"):
        read_waveform(Segment(str(path), 19.0, 20.5), rate)


def test_stereo_segments_are_the_mean_or_the_named_channel(tmp_path, monkeypatch):
    channels = np.random.default_rng(3).normal(size=(3 * RATE, 2)).clip(-4, 4) / 8
    path = tmp_path / "two.wav"
    soundfile.write(path, channels, RATE)
    whole, _ = soundfile.read(path, dtype="float32")
    decoded = []
    read_recording = sound.read_recording
    monkeypatch.setattr(sound, "read_recording", lambda *a: decoded.append(a) or read_recording(*a))
    for channel, expected in ((-1, whole.mean(1)), (0, whole[:, 0]), (1, whole[:, 1])):
        for begin in (0, 1):
            found = read_waveform(Segment(str(path), begin, begin + 1.5, channel))
            np.testing.assert_allclose(found, expected[begin * RATE : int((begin + 1.5) * RATE)], atol=1e-7)
    assert len(decoded) == 3  # each once for its two segments
    with pytest.raises(InputError, match="channel 2"):
        read_waveform(Segment(str(path), 0, 1, 2))


@pytest.mark.parametrize(("ending", "rate"), [("wav", RATE), ("flac", RATE), ("mp3", 44100)])
def test_segments_of_recordings_too_long_to_keep_in_memory(tmp_path, monkeypatch, ending, rate):
    noise = np.random.default_rng(4).normal(size=(9 * rate, 2)).clip(-4, 4) / 8
    path = str(tmp_path / f"two.{ending}")
    soundfile.write(path, noise, rate)
    segments = [Segment(path, 0, 1.5), Segment(path, 4.25, 6, 1), Segment(path, 7.5, 9.2), Segment(path, 8, -1, 0)]
    expected = [read_waveform(segment, RATE) for segment in segments]
    monkeypatch.setattr(sound, "MOST_SAMPLES", 3 * rate)
    monkeypatch.setattr(decoding, "PIECE", 5000)
    monkeypatch.setattr(sound, "KEPT", sound.Kept())
    with pytest.raises(InputError):
        read_waveform(path)
    for segment, there in zip(segments, expected, strict=True):
        np.testing.assert_allclose(read_waveform(segment, RATE), there, atol=1e-6)
    for segment in (Segment(path, 9.3, 10), Segment(path, 8, 9.8), Segment(path, 1, 6), Segment(path, 0, 1, 2)):
        with pytest.raises(InputError, match="two"):
            read_waveform(segment)


def test_crops_for_training_come_from_segments(data_dir, recording):
    whole, _ = soundfile.read(recording, dtype="float32")
    segments = list(read_data_dir(data_dir("s-1 rec 0 1", "s-2 rec 1 2.5")).wav.values())
    for mib in (0, 10):  # read on demand, kept in memory
        store = sound.WaveformStore(segments, mib)
        assert not store.bad
        found = store.part(segments[1], 1.0, 8000)
        np.testing.assert_allclose(found, whole[32000:40000], atol=1e-4)


def test_segments_of_a_commands_output_run_it_once_and_only_if_allowed(recording, tmp_path):
    whole, _ = soundfile.read(recording, dtype="float32")
    command = f"echo >> {tmp_path}/runs; cat '{recording}' |"
    for start in (0, 1):
        found = read_waveform(Segment(command, start, start + 1), allow_pipes=True)
        np.testing.assert_array_equal(found, whole[start * RATE : (start + 1) * RATE])
    assert (tmp_path / "runs").read_text() == "\n"
    with pytest.raises(InputError, match="allow_pipes"):
        read_waveform(Segment(command, 0, 1))
