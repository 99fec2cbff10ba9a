"""avsv synchrony mouths, score and evaluate: from videos to measures, with an untrained network."""

import json

import kaldiio
import numpy as np
import pytest
import torch

from avsv.features.faces import TEMPLATE
from avsv.kaldi.tables import read_table, write_table
from avsv.models.checkpoint import save
from avsv.systems.synchrony.embedding import SYNCHRONY
from avsv.systems.synchrony.syncnet import SyncNet
from tests.systems.synchrony.small_talk import make_talk
from tests.systems.synchrony.talking import Detector, talk, voice, write_talk


@pytest.fixture
def data(tmp_path):
    return make_talk(tmp_path / "data", frames=30)


def save_syncnet(folder, threshold):
    torch.manual_seed(0)
    description = {"kind": "syncnet", "size": 8, "width": 0.06, "threshold": threshold}
    save(folder, SYNCHRONY, SyncNet(8, 0.06), description)
    return folder


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").mkdir()
    return save_syncnet(tmp_path / "model", 0.001)


def test_distances_and_tables_of_a_data_directory(avsv, data, model, tmp_path):
    assert avsv("synchrony", "score", "--model", model, data, tmp_path / "out")[0] == 0
    utts = sorted(read_table(data / "utt2spk"))
    for table in ("utt2offset", "utt2distance", "utt2confidence", "utt2speaking"):
        assert sorted(read_table(tmp_path / "out" / table)) == utts
    assert (data / "utt2speaking").read_text() == (tmp_path / "out/utt2speaking").read_text()
    matrix = kaldiio.load_scp(str(tmp_path / "out/distances.scp"))[utts[0]]
    assert matrix.shape == (1 + 26, 31) and matrix[0] == pytest.approx(np.arange(-15, 16) * 0.04, abs=1e-6)
    confidence = {utt: float(v) for utt, v in read_table(tmp_path / "out/utt2confidence").items()}
    speaking = read_table(tmp_path / "out/utt2speaking")
    assert {utt: "yes" if c >= 0.001 else "no" for utt, c in confidence.items()} == speaking


def test_shards_give_the_same_tables(avsv, data, model, tmp_path):
    avsv("synchrony", "score", "--model", model, data, tmp_path / "whole")
    for job in ("1/2", "2/2"):
        avsv("synchrony", "score", "--model", model, "--shard", job, data, tmp_path / "parts")
    assert (tmp_path / "parts/utt2confidence").read_text() == (tmp_path / "whole/utt2confidence").read_text()


def test_a_clip_that_is_too_short_is_skipped_and_named(avsv, data, model, tmp_path):
    import soundfile

    soundfile.write(data / "p0-0.wav", np.zeros(1600), 16000)
    status, text = avsv("synchrony", "score", "--max-skipped", "0.2", "--model", model, data, tmp_path / "out")
    assert status == 0 and "skipped p0-0" in text and "p0-0" in read_table(tmp_path / "out/skipped")


def test_absent_models_thresholds_and_mouths_are_named(avsv, data, model, tmp_path):
    status, text = avsv("synchrony", "score", "--model", tmp_path / "none", data, tmp_path / "out")
    assert status == 1 and str(tmp_path / "none") in text
    save_syncnet(model, None)
    status, text = avsv("synchrony", "score", "--model", model, data, tmp_path / "out")
    assert status == 1 and "give --confidence" in text
    (data / "mouths.scp").unlink()
    status, text = avsv("synchrony", "score", "--model", model, data, tmp_path / "out")
    assert status == 1 and "mouths.scp" in text


def test_measures_are_printed_and_written(avsv, data, model, tmp_path):
    avsv("synchrony", "score", "--model", model, data, tmp_path / "out")
    utts = sorted(read_table(data / "utt2spk"))
    found = {utt: float(v) for utt, v in read_table(tmp_path / "out/utt2offset").items()}
    # half of the reference offsets agree within 0.03 s, the others are a second away
    true = {utt: found[utt] + (0.03 if i % 2 else 1.0) for i, utt in enumerate(utts)}
    write_table(tmp_path / "true", {utt: f"{v:.3f}" for utt, v in true.items()})
    write_table(tmp_path / "places", dict.fromkeys(utts[:4], "50 60"))
    write_table(tmp_path / "boxes", {utts[0]: "10 20 90 100", utts[1]: "60 20 90 100"})
    out = tmp_path / "out"
    status, text = avsv(
        "synchrony", "evaluate", "--utt2spk", data / "utt2spk", "--folds", "2", "--shift", "0.2", "0.4",
        "--json", out / "j",
        "--system", f"ours={out}", "--replaced", out, "--offsets", tmp_path / "true", out,
        "--speakers", tmp_path / "places", tmp_path / "boxes", "--system", out,
    )  # fmt: skip
    assert status == 0, text
    ours, other = json.loads((tmp_path / "out/j").read_text())
    assert ours["system"] == "ours" and [row["shift"] for row in ours["pairs"]] == [0.2, 0.4]
    assert ours["offsets"]["within_frame_percent"] == 50 and ours["replaced"]["eer_percent"] == 50
    assert (ours["speakers"]["right_percent"], ours["speakers"]["found"]) == (25, 2)
    assert set(other) == {"system", "pairs"} and other["pairs"] == ours["pairs"]
    assert "50.0 % of 12 shifted clips" in text


def test_an_option_before_its_system_is_a_usage_error(avsv, tmp_path):
    status, text = avsv("synchrony", "evaluate", "--utt2spk", "u", "--replaced", "r", "--system", "s")
    assert status == 2 and "--replaced" in text


@pytest.fixture
def videos(tmp_path):
    """A data directory of two videos: one without a face, the other with key points."""
    folder = tmp_path / "videos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    opening = talk(rng, 25)
    for name, row in (("a-1", opening[:, None]), ("b-1", [[None]] * 25)):
        write_talk(folder / f"{name}.mp4", row, np.arange(25) / 25, voice(opening, rng))
    write_table(folder / "utt2spk", {"a-1": "a", "b-1": "b"})
    for table in ("wav.scp", "video.scp"):
        write_table(folder / table, {utt: f"{folder}/{utt}.mp4" for utt in ("a-1", "b-1")})
    row = "\t".join(map(str, [24, 24, 112, 112, *(TEMPLATE + 24).ravel()]))
    (folder / "a-1.txt").write_text("FRAME\n" + "".join(f"{i}\t{row}\n" for i in range(25)))
    return folder


def test_key_points_are_detected_or_read_from_the_corpus(avsv, videos, tmp_path, monkeypatch):
    from types import SimpleNamespace

    from avsv.systems.synchrony.mouths import read_mouths

    status, text = avsv("synchrony", "mouths", videos, tmp_path / "known")
    assert status == 1 and "landmarks.scp" in text and "--model" in text
    write_table(videos / "landmarks.scp", {"a-1": f"{videos}/a-1.txt"})
    status, text = avsv("synchrony", "mouths", "--max-skipped", "0.5", videos, tmp_path / "known")
    assert status == 0 and "skipped b-1" in text and "landmarks.scp" in text
    known = read_mouths(read_table(videos / "mouths.scp")["a-1"])
    pack = SimpleNamespace(detection=Detector(), files=lambda *_: [])
    monkeypatch.setattr("avsv.features.face_pack.load_pack", lambda *_, **__: pack)
    status, text = avsv("synchrony", "mouths", "--max-skipped", "0.5", "--model", "pack", videos, tmp_path / "found")
    assert status == 0 and "skipped b-1" in text
    found = read_mouths(read_table(videos / "mouths.scp")["a-1"])
    assert found.images.shape == known.images.shape == (25, 60, 100)
    assert np.abs(found.images.astype(int) - known.images).mean() < 5
