"""A data directory with segments gives the same results as one with the segments cut into files."""

import numpy as np
import pytest
import soundfile

from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.matrices import read_entry
from avsv.kaldi.tables import read_table, write_table
from avsv.media.waveforms import read_waveform

RATE = 16000
TIMES = {"p-1": (0, 1.5), "p-2": (1.5, 4), "q-1": (2.25, 3), "q-2": (3, 5)}
SORTS = ("noise", "music", "speech", "rir")


@pytest.fixture
def sets(tmp_path):
    """data/long: one recording with segments; data/cut: the segments as files; data/musan: noises as segments."""
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * RATE).clip(-0.9, 0.9)
    soundfile.write(tmp_path / "long.wav", noise, RATE)
    whole, _ = soundfile.read(tmp_path / "long.wav", dtype="int16")
    files, names = {}, {utt: utt[0] for utt in TIMES}
    for utt, (start, end) in TIMES.items():
        files[utt] = str(tmp_path / f"{utt}.wav")
        soundfile.write(files[utt], whole[int(start * RATE) : int(end * RATE)], RATE)
    data = tmp_path / "data"
    write_table(data / "long" / "wav.scp", {"rec": str(tmp_path / "long.wav")})
    write_table(data / "long" / "segments", {utt: f"rec {start} {end}" for utt, (start, end) in TIMES.items()})
    write_table(data / "cut" / "wav.scp", files)
    for name in ("long", "cut"):
        write_table(data / name / "utt2spk", names)
    write_table(data / "musan" / "wav.scp", {"rec": str(tmp_path / "long.wav")})
    write_table(data / "musan" / "segments", {f"{sort}-1": f"rec {n} {n + 1}" for n, sort in enumerate(SORTS)})
    write_table(data / "musan" / "utt2spk", {f"{sort}-1": sort for sort in SORTS})
    return data


def test_features_match_those_of_cut_files(avsv, sets, tmp_path):
    for name in ("long", "cut"):
        status, output = avsv("features", sets / name, tmp_path / name)
        assert status == 0, output
    segments, files = (read_table(tmp_path / name / "feats.scp") for name in ("long", "cut"))
    assert list(segments) == list(files) == list(TIMES)
    for utt in TIMES:
        np.testing.assert_array_equal(read_entry(segments[utt]), read_entry(files[utt]))


def test_embeddings_match_those_of_cut_files_clean_and_damaged(avsv, encoder, sets, tmp_path):
    """The noises are segments as well."""
    for name in ("long", "cut"):
        status, output = avsv("damage", "--condition", "voice-noisy", "--noises", sets / "musan", sets / name,
                            sets / f"{name}_noisy")  # fmt: skip
        assert status == 0, output
    for name in ("long", "cut", "long_noisy", "cut_noisy"):
        status, output = avsv("embed-voice", "--model", encoder, sets / name, tmp_path / name)
        assert status == 0, output
    for noisy in ("", "_noisy"):
        segments, files = (read_embeddings(tmp_path / f"{name}{noisy}" / "embedding.scp") for name in ("long", "cut"))
        assert segments.ids == files.ids == list(TIMES)
        np.testing.assert_array_equal(segments.vectors, files.vectors)
    assert read_table(tmp_path / "long" / "utt2dur") == read_table(tmp_path / "cut" / "utt2dur")


def test_a_modality_missing_from_a_noisy_set_has_no_segment(avsv, sets):
    write_table(sets / "long" / "video.scp", {utt: f"{utt}.mp4" for utt in TIMES})
    status, output = avsv("damage", "--condition", "half-missing", "--seed", "3", sets / "long", sets / "noisy")
    assert status == 0, output
    noisy = read_data_dir(sets / "noisy")
    missing = {utt for utt in TIMES if '"voice"' in read_table(sets / "noisy" / "utt2damage").get(utt, "")}
    assert missing and missing == TIMES.keys() - noisy.wav.keys()
    for utt, segment in noisy.wav.items():
        assert len(read_waveform(segment)) == round((TIMES[utt][1] - TIMES[utt][0]) * RATE)


def test_a_changed_segment_is_embedded_again(avsv, encoder, sets, tmp_path):
    command = ("embed-voice", "--model", encoder, sets / "long", tmp_path / "out")
    assert avsv(*command)[0] == 0
    before = read_embeddings(tmp_path / "out" / "embedding.scp").vectors
    write_table(sets / "long" / "segments", {utt: f"rec {s} {e - 0.25}" for utt, (s, e) in TIMES.items()})
    assert avsv(*command)[0] == 0
    assert not np.array_equal(before, read_embeddings(tmp_path / "out" / "embedding.scp").vectors)


def test_utterances_of_invalid_segments_are_skipped_and_named(avsv, sets, tmp_path):
    times = {**TIMES, "q-2": (3, 5.6)}
    write_table(sets / "long" / "segments", {utt: f"rec {start} {end}" for utt, (start, end) in times.items()})
    status, output = avsv("features", "--max-skipped", "0.5", sets / "long", tmp_path / "out")
    assert status == 0, output
    assert list(read_table(tmp_path / "out" / "skipped")) == ["q-2"]
    write_table(sets / "long" / "segments", {utt: f"rec {end} {start}" for utt, (start, end) in times.items()})
    status, output = avsv("features", sets / "long", tmp_path / "out")
    assert status == 1 and "segments, line 1" in output
