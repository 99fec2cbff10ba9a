"""avsv embed-voice with an untrained encoder: embeddings, quality tables, and the clips that are redone."""

import json
import shutil

import kaldiio
import numpy as np
import pytest
import soundfile
import torch

from avsv.features.quality_measures import VOICE_TABLES
from avsv.kaldi.tables import read_table, write_table
from tests.media.test_channels import write_tracks


@pytest.fixture
def data(tmp_path):
    """Four clips of 1 to 4 s, with only hiss in every other quarter of a second."""
    folder, rng = tmp_path / "data", np.random.default_rng(0)
    for i in range(1, 5):
        bursts = rng.normal(0, 0.1, 16000 * i) * (np.arange(16000 * i) // 4000 % 2) + rng.normal(0, 0.001, 16000 * i)
        (tmp_path / "sounds").mkdir(exist_ok=True)
        soundfile.write(tmp_path / f"sounds/{i}.wav", bursts, 16000)
    soundfile.write(tmp_path / "sounds/hiss.wav", rng.normal(0, 0.1, 80000), 16000)
    write_table(folder / "wav.scp", {f"p-{i}": str(tmp_path / f"sounds/{i}.wav") for i in range(1, 5)})
    write_table(folder / "utt2spk", {f"p-{i}": "p" for i in range(1, 5)})
    return folder


def numbers(out_dir, table):
    return {utt: float(value) for utt, value in read_table(out_dir / table).items()}


def test_every_clip_has_every_quality_measure(avsv, encoder, data, tmp_path):
    status, output = avsv("embed-voice", "--model", encoder, data, tmp_path / "out")
    assert status == 0, output
    assert numbers(tmp_path / "out", "utt2dur") == {"p-1": 1, "p-2": 2, "p-3": 3, "p-4": 4}
    assert numbers(tmp_path / "out", "utt2speech") == pytest.approx(dict.fromkeys(("p-1", "p-2", "p-3", "p-4"), 0.5),
                                                                    abs=0.15)  # fmt: skip
    # half of the clip is 40 dB above the hiss, so its mean power is 37 dB above it
    assert list(numbers(tmp_path / "out", "utt2snr").values()) == pytest.approx([37] * 4, abs=1)


def test_magnitude_is_the_norm_of_the_embedding(avsv, encoder, data, tmp_path):
    avsv("embed-voice", "--model", encoder, data, tmp_path / "out")
    vectors = kaldiio.load_scp(str(tmp_path / "out" / "embedding.scp"))
    lengths = {utt: float(np.linalg.norm(vector)) for utt, vector in vectors.items()}
    assert numbers(tmp_path / "out", "utt2magnitude") == pytest.approx(lengths, rel=1e-5)


def test_quality_is_measured_after_damage_and_absent_for_missing_voices(avsv, encoder, data, tmp_path):
    hiss = [str(tmp_path / "sounds/hiss.wav"), 0.0]
    damage = {
        "p-2": {"modality": "voice", "kind": "noise", "sources": [hiss], "snr": 3.0},
        "p-3": {"modality": "voice", "kind": "missing"},
    }
    write_table(data / "utt2damage", {utt: json.dumps(what) for utt, what in damage.items()})
    status, output = avsv("embed-voice", "--model", encoder, data, tmp_path / "out")
    assert status == 0, output
    for table in VOICE_TABLES:
        assert list(numbers(tmp_path / "out", table)) == ["p-1", "p-2", "p-4"]
    assert numbers(tmp_path / "out", "utt2snr")["p-2"] == pytest.approx(3, abs=1)


def test_undamaged_clips_of_a_noisy_set_are_copied(avsv, encoder, data, tmp_path, caplog):
    avsv("embed-voice", "--model", encoder, data, tmp_path / "clean")
    hiss = [str(tmp_path / "sounds/hiss.wav"), 0.0]
    damage = {
        "p-2": [
            {"modality": "voice", "kind": "noise", "sources": [hiss], "snr": 3.0},
            {"modality": "face", "kind": "a"},
        ],
        "p-3": {"modality": "voice", "kind": "missing"},
        "p-4": {"modality": "face", "kind": "jpeg", "quality": 3},
    }
    write_table(data / "utt2damage", {utt: json.dumps(what) for utt, what in damage.items()})
    reuse = ("--reuse", tmp_path / "clean")
    status, output = avsv("embed-voice", "--model", encoder, *reuse, data, tmp_path / "noisy")
    assert status == 0 and "2 of 3 clips have the same input" in caplog.text + output
    avsv("embed-voice", "--model", encoder, data, tmp_path / "anew")
    clean, noisy, anew = (kaldiio.load_scp(str(tmp_path / d / "embedding.scp")) for d in ("clean", "noisy", "anew"))
    assert list(noisy) == list(anew) == ["p-1", "p-2", "p-4"]
    assert all(np.array_equal(noisy[utt], clean[utt]) for utt in ("p-1", "p-4"))
    assert all(np.allclose(noisy[utt], anew[utt], rtol=1e-4, atol=1e-5) for utt in noisy)
    assert not np.allclose(noisy["p-2"], clean["p-2"], rtol=1e-2)
    for table in VOICE_TABLES:
        assert numbers(tmp_path / "noisy", table) == pytest.approx(numbers(tmp_path / "anew", table), rel=1e-4)


def test_a_set_without_voices_by_design_has_an_empty_archive(avsv, encoder, data, tmp_path):
    write_table(data / "utt2damage", {f"p-{i}": '{"modality": "voice", "kind": "missing"}' for i in range(1, 5)})
    write_table(data / "wav.scp", {})
    write_table(data / "video.scp", {f"p-{i}": "x.mp4" for i in range(1, 5)})
    for shard in ("1/1", "1/2", "2/2"):
        status, output = avsv("embed-voice", "--model", encoder, "--shard", shard, data, tmp_path / shard[-1])
        assert status == 0, output
    assert (tmp_path / "1" / "embedding.scp").read_text() == (tmp_path / "2" / "embedding.scp").read_text() == ""


def test_an_unreadable_clip_has_no_quality_measures(avsv, encoder, data, tmp_path):
    (tmp_path / "sounds/3.wav").write_bytes(b"")
    status, output = avsv("embed-voice", "--model", encoder, "--max-skipped", 0.5, data, tmp_path / "out")
    assert status == 0, output
    assert all("p-3" not in numbers(tmp_path / "out", table) for table in VOICE_TABLES)


def test_shards_write_the_same_measures_and_a_finished_stage_is_kept(avsv, encoder, data, tmp_path):
    avsv("embed-voice", "--model", encoder, data, tmp_path / "one")
    for job in (2, 1):
        avsv("embed-voice", "--model", encoder, "--shard", f"{job}/2", data, tmp_path / "two")
    for table in VOICE_TABLES:
        assert numbers(tmp_path / "one", table) == pytest.approx(numbers(tmp_path / "two", table), rel=1e-4)
    written = (tmp_path / "one" / "utt2snr").stat().st_mtime_ns
    _, output = avsv("embed-voice", "--model", encoder, data, tmp_path / "one")
    assert "complete already" in output and (tmp_path / "one" / "utt2snr").stat().st_mtime_ns == written


def embedded(avsv, encoder, data, out_dir, *options):
    """The embeddings after a run, by utterance, as bytes."""
    status, output = avsv("embed-voice", "--model", encoder, *options, data, out_dir)
    assert status == 0, output
    return {utt: vector.tobytes() for utt, vector in kaldiio.load_scp(str(out_dir / "embedding.scp")).items()}


@pytest.mark.parametrize("shards", [1, 2])
def test_a_changed_recording_is_embedded_again(avsv, encoder, data, tmp_path, shards):
    def run():
        for job in range(1, shards + 1):
            result = avsv("embed-voice", "--model", encoder, "--shard", f"{job}/{shards}", data, tmp_path / "out")
            assert result[0] == 0
        scp = kaldiio.load_scp(str(tmp_path / "out" / "embedding.scp"))
        return {utt: vector.tobytes() for utt, vector in scp.items()}

    before = run()
    soundfile.write(tmp_path / "sounds/2.wav", np.random.default_rng(5).normal(0, 0.2, 32000), 16000)
    after = run()
    assert {utt for utt in before if before[utt] != after[utt]} == {"p-2"}
    assert after == embedded(avsv, encoder, data, tmp_path / "anew")


def test_clips_with_a_changed_noise_are_embedded_again(avsv, encoder, data, tmp_path):
    hiss = tmp_path / "sounds/hiss.wav"
    record = {"modality": "voice", "kind": "noise", "sources": [[str(hiss), 0.0]], "snr": 0.0}
    write_table(data / "utt2damage", {"p-2": json.dumps(record)})
    before = embedded(avsv, encoder, data, tmp_path / "out")
    soundfile.write(hiss, np.sin(np.arange(80000) / 3), 16000)
    after = embedded(avsv, encoder, data, tmp_path / "out")
    assert {utt for utt in before if before[utt] != after[utt]} == {"p-2"}


def test_an_absent_recording_is_embedded_once_it_is_back(avsv, encoder, data, tmp_path):
    away = (tmp_path / "sounds/3.wav").rename(tmp_path / "away")
    assert len(embedded(avsv, encoder, data, tmp_path / "out", "--max-skipped", 0.5)) == 3
    away.rename(tmp_path / "sounds/3.wav")
    assert len(embedded(avsv, encoder, data, tmp_path / "out")) == 4


@pytest.mark.parametrize("file", ["hyperparams.yaml", "embedding_model.ckpt"])
def test_changing_one_file_of_the_model_embeds_all_clips_again(avsv, encoder, data, tmp_path, file):
    model = shutil.copytree(encoder, tmp_path / "model")
    before = embedded(avsv, model, data, tmp_path / "out")
    if file == "hyperparams.yaml":
        text = (model / file).read_text()
        assert "std_norm: False" in text
        (model / file).write_text(text.replace("std_norm: False", "std_norm: True"))
    else:
        state = torch.load(model / file, weights_only=True)
        state["fc.conv.bias"] += torch.arange(6.0)
        torch.save(state, model / file)
    after = embedded(avsv, model, data, tmp_path / "out")
    assert all(before[utt] != after[utt] for utt in before)
    assert after == embedded(avsv, model, data, tmp_path / "anew", "--reuse", tmp_path / "out")


def test_a_model_that_outputs_nan_leaves_no_archive(avsv, encoder, data, tmp_path):
    model = shutil.copytree(encoder, tmp_path / "model")
    state = torch.load(model / "embedding_model.ckpt", weights_only=True)
    state["fc.conv.weight"].fill_(3e38)  # finite, but the products are not
    torch.save(state, model / "embedding_model.ckpt")
    status, output = avsv("embed-voice", "--model", model, data, tmp_path / "out")
    assert status == 1 and "p-1" in output and not (tmp_path / "out" / "embedding.scp").exists(), output


def test_another_audio_track_redoes_the_embeddings(avsv, encoder, tmp_path):
    times = np.arange(32000) / 16000
    tracks = [(0.3 * np.sin(2 * np.pi * hertz * times)).astype(np.float32) for hertz in (300, 900)]
    write_tracks(tmp_path / "both.mp4", tracks)
    for number, track in enumerate(tracks, 1):
        write_tracks(tmp_path / f"{number}.mp4", [track])
        write_table(tmp_path / f"d{number}" / "wav.scp", {"p-1": str(tmp_path / f"{number}.mp4")})
        write_table(tmp_path / f"d{number}" / "utt2spk", {"p-1": "p"})
    write_table(tmp_path / "d" / "wav.scp", {"p-1": str(tmp_path / "both.mp4")})
    write_table(tmp_path / "d" / "utt2spk", {"p-1": "p"})

    def vector(folder, *options):
        status, output = avsv("embed-voice", "--model", encoder, *options, tmp_path / folder, tmp_path / "out")
        assert status == 0, output
        return kaldiio.load_scp(str(tmp_path / "out" / "embedding.scp"))["p-1"]

    # all runs share one output folder
    result = [vector("d"), vector("d", "--audio-track", 1), vector("d", "--audio-track", 2)]
    single = [vector("d1"), vector("d2")]
    np.testing.assert_array_equal(result, [single[0], single[0], single[1]])
    assert avsv("embed-voice", "--model", encoder, "--audio-track", 3, tmp_path / "d", tmp_path / "out")[0] == 1
    assert avsv("embed-voice", "--model", encoder, "--audio-track", 0, tmp_path / "d", tmp_path / "out")[0] == 2


OWN = """\
import numpy as np


class Mine:
    rate = 16000
    size = 3

    def embed(self, waveform):
        if len(waveform) == {refused}:
            raise ValueError("too short for me")
        return {gain} * np.array([waveform.std(), np.abs(waveform).max(), len(waveform) / 16000])
"""


def own_encoder(tmp_path, refused=0, gain=1):
    (tmp_path / "mine.py").write_text(OWN.format(refused=refused, gain=gain))
    return f"{tmp_path}/mine.py:Mine"


def test_an_encoder_of_ones_own_embeds_the_damaged_waveforms(avsv, data, tmp_path):
    hiss = [str(tmp_path / "sounds/hiss.wav"), 0.0]
    damage = {"modality": "voice", "kind": "noise", "sources": [hiss], "snr": 0.0}
    clean = embedded(avsv, own_encoder(tmp_path), data, tmp_path / "clean", "--trust-model")
    write_table(data / "utt2damage", {"p-2": json.dumps(damage)})
    noisy = embedded(avsv, own_encoder(tmp_path), data, tmp_path / "noisy", "--trust-model")
    assert {utt for utt in clean if clean[utt] != noisy[utt]} == {"p-2"}
    expected = soundfile.read(tmp_path / "sounds/3.wav", dtype="float32")[0]
    assert np.frombuffer(noisy["p-3"], np.float32) == pytest.approx(
        [expected.std(), np.abs(expected).max(), 3], rel=1e-4
    )
    assert numbers(tmp_path / "noisy", "utt2dur")["p-4"] == 4


def test_an_encoder_of_ones_own_runs_only_if_trusted(avsv, data, tmp_path):
    status, output = avsv("embed-voice", "--model", own_encoder(tmp_path), data, tmp_path / "out")
    assert status == 1 and "mine.py:Mine" in output and not (tmp_path / "out/embedding.scp").exists()


def test_a_change_of_ones_own_encoder_embeds_all_clips_again(avsv, data, tmp_path):
    before = embedded(avsv, own_encoder(tmp_path), data, tmp_path / "out", "--trust-model")
    status, output = avsv("embed-voice", "--model", own_encoder(tmp_path), data, tmp_path / "out")
    assert status == 0 and "complete already" in output  # nothing has to run, so no trust is needed
    after = embedded(avsv, own_encoder(tmp_path, gain=2), data, tmp_path / "out", "--trust-model")
    assert all(before[utt] != after[utt] for utt in before)


def test_a_clip_on_which_ones_own_encoder_fails_is_skipped_with_the_line(avsv, data, tmp_path):
    options = ("--trust-model", "--max-skipped", 0.25)
    assert set(embedded(avsv, own_encoder(tmp_path, 32000), data, tmp_path / "out", *options)) == {"p-1", "p-3", "p-4"}
    reason = read_table(tmp_path / "out" / "skipped")["p-2"]
    assert "mine.py, line 10" in reason and "too short for me" in reason
    status, output = avsv("embed-voice", "--model", own_encoder(tmp_path, 32000), "--trust-model", data, tmp_path / "o")
    assert status == 1 and "p-2" in output and "mine.py, line 10" in output


def test_an_absent_file_of_an_encoder_is_named(avsv, data, tmp_path):
    status, output = avsv("embed-voice", "--model", tmp_path / "no.py:Mine", "--trust-model", data, tmp_path / "out")
    assert status == 1 and "no.py: no such file" in output
