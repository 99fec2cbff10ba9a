"""A tiny AVN-F, from a data directory to embeddings."""

import json
from dataclasses import replace
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch

from avsv.embeddings.avn_f import AVNFEmbedder, windows
from avsv.errors import InputError
from avsv.models.avn_f import AVN_F, AVNFOptions, AVNFWithFrontend
from avsv.models.checkpoint import load
from avsv.models.ranges import options_of
from avsv.training.config import apply_schema, read_config
from avsv.training.task import train
from avsv.training.tasks.avn_f import AvnFConfig, AvnFModel, AvnFTask
from avsv.training.trainer import Trainer
from tests.training.small_clips import draw_face, draw_voice, make_data, tiny

ROOT = Path(__file__).resolve().parents[3]


def config(data, noises, exp_dir, **more):
    options = {"channels": 4, "trunk_channels": (6, 8), "blocks": (1, 1), "embedding_size": 8, "stem_stride": 4,
               "attention": "2", "scale": 16.0, "margin": 0.1, "epochs": 4}  # fmt: skip
    return tiny(AvnFConfig, "avn_f", data, noises, exp_dir, **{**options, **more})


@pytest.fixture(scope="module")
def trained(data, noises, tmp_path_factory):
    exp_dir = tmp_path_factory.mktemp("exp") / "avn_f"
    held_out = make_data(tmp_path_factory.mktemp("held out") / "d", prefix="q")
    train(AvnFTask(config(data, noises, exp_dir, valid_dir=str(held_out))))
    return exp_dir


def test_training_learns_and_validates(trained):
    history = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert len(history) == 4 and history[-1]["loss"] < history[0]["loss"]
    assert all(0 <= record["eer_percent"] <= 100 for record in history)


def test_an_interrupted_training_ends_with_the_same_network(data, noises, tmp_path, monkeypatch):
    save = Trainer.save

    def stop_after_one(self, *rest):
        save(self, *rest)
        if self.epoch == 1:
            raise KeyboardInterrupt

    train(AvnFTask(config(data, noises, tmp_path / "whole", epochs=2)))
    monkeypatch.setattr(Trainer, "save", stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        train(AvnFTask(config(data, noises, tmp_path / "cut", epochs=2)))
    monkeypatch.setattr(Trainer, "save", save)
    train(AvnFTask(config(data, noises, tmp_path / "cut", epochs=2)))
    assert (tmp_path / "cut/avn_f.safetensors").read_bytes() == (tmp_path / "whole/avn_f.safetensors").read_bytes()


def test_windows_cover_the_audio_and_have_one_length():
    for n in (1, 5, 8, 9, 16, 23, 24, 25):
        pieces = windows(np.arange(n), 8)
        assert pieces.shape[1] == 8 and set(range(n)) == set(pieces.ravel().tolist())
        assert len(pieces) == -(-n // 8)


def test_a_clip_is_the_mean_over_pairs_of_pieces_and_faces(trained):
    net, description = load(trained, AVN_F)
    embedder = AVNFEmbedder(AVNFWithFrontend(net), description["crop_seconds"], torch.device("cpu"))
    rng = np.random.default_rng(0)
    waveform = draw_voice(0, rng, 1.2).astype(np.float32)  # 3 pieces of 0.5 s
    faces = np.stack([draw_face(0, rng) for _ in range(2)])
    vector, weight = embedder.embed(waveform, faces)
    pairs = [embedder.embed(piece, faces[i % 2][None]) for i, piece in enumerate(windows(waveform, 8000))]
    assert np.allclose(vector, np.mean([v for v, _ in pairs], axis=0), atol=1e-5)
    assert weight == pytest.approx(np.mean([w for _, w in pairs]), abs=1e-6)


def read(folder):
    table = (folder / "utt2modality").read_text().split()
    return kaldiio.load_scp(str(folder / "embedding.scp")), dict(zip(table[::2], table[1::2]))


def test_embed_clips_uses_the_modalities_present(trained, data, tmp_path, avsv):
    status, output = avsv("embed-clips", "--model", trained, data, tmp_path / "out")
    assert status == 0, output
    vectors, modality = read(tmp_path / "out")
    assert len(vectors) == 12 and vectors["p0-0"].shape == (8,)
    assert modality["p0-1"] == "voice" and modality["p1-0"] == "face" and modality["p2-2"] == "both"
    weights = dict(line.split() for line in (tmp_path / "out/utt2voice_weight").read_text().splitlines())
    assert float(weights["p0-1"]) == 1 and float(weights["p1-0"]) == 0 and 0 < float(weights["p2-2"]) < 1


def test_shards_give_the_result_of_one_job(trained, data, tmp_path, avsv, caplog):
    assert avsv("embed-clips", "--model", trained, data, tmp_path / "one")[0] == 0
    for job in (2, 1):
        assert avsv("embed-clips", "--model", trained, "--shard", f"{job}/2", data, tmp_path / "two")[0] == 0
    one, two = (read(tmp_path / name)[0] for name in ("one", "two"))
    assert sorted(one) == sorted(two) and all(np.array_equal(one[utt], two[utt]) for utt in one)
    with caplog.at_level("INFO", logger="avsv"):
        avsv("embed-clips", "--model", trained, "--shard", "1/2", data, tmp_path / "two")
    assert "complete already" in caplog.text


def test_damage_of_the_data_directory_is_applied(trained, data, tmp_path, avsv, caplog):
    folder = tmp_path / "noisy"
    folder.mkdir()
    for name in ("utt2spk", "wav.scp", "video.scp", "faces.scp"):
        (folder / name).write_text((data / name).read_text())
    damage = {
        "p0-0": {"modality": "face", "kind": "gaussian-blur", "sigma": 5.0},
        "p0-2": {"modality": "voice", "kind": "missing"},
        "p0-3": [{"modality": "voice", "kind": "missing"}, {"modality": "face", "kind": "missing"}],
    }
    (folder / "utt2damage").write_text("".join(f"{utt} {json.dumps(what)}\n" for utt, what in damage.items()))
    assert avsv("embed-clips", "--model", trained, data, tmp_path / "clean")[0] == 0
    with caplog.at_level("INFO", logger="avsv"):
        status, output = avsv(
            "embed-clips", "--model", trained, "--reuse", tmp_path / "clean", folder, tmp_path / "out"
        )
    assert status == 0 and f"{tmp_path / 'clean'}: 9 of 11 clips" in caplog.text, output
    clean, hurt = (read(tmp_path / name)[0] for name in ("clean", "out"))
    assert not np.allclose(clean["p0-0"], hurt["p0-0"]) and np.array_equal(clean["p1-1"], hurt["p1-1"])
    assert read(tmp_path / "out")[1]["p0-2"] == "face" and "p0-3" not in hurt


def test_a_clip_with_unreadable_audio_is_embedded_from_its_face(trained, data, tmp_path, avsv, caplog):
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "utt2spk").write_text("a a\nb b\n")
    (folder / "wav.scp").write_text("a gone.wav\nb gone.wav\n")
    face = (data / "faces.scp").read_text().split()[1]
    (folder / "faces.scp").write_text(f"a {face}\n")
    status, output = avsv("embed-clips", "--model", trained, "--max-skipped", "0.5", folder, tmp_path / "out")
    assert status == 0 and "a: embedded by its face alone: gone.wav: no such file" in caplog.text, output
    assert "gone.wav" in (tmp_path / "out/skipped").read_text()
    assert read(tmp_path / "out")[1] == {"a": "face"}


def test_wrong_models_and_data_are_refused(trained, data, noises, tmp_path, avsv):
    status, output = avsv("embed-clips", "--model", tmp_path, data, tmp_path / "out")
    assert status == 1 and "avn_f.safetensors" in output and "Traceback" not in output
    (tmp_path / "video").mkdir()
    for name in ("utt2spk", "video.scp"):
        (tmp_path / "video" / name).write_text((data / name).read_text())
    status, output = avsv("embed-clips", "--model", trained, tmp_path / "video", tmp_path / "out")
    assert status == 1 and "no detector.onnx" in output
    with pytest.raises(InputError, match="expected one of none, 1, 2, 3"):
        train(AvnFTask(replace(config(data, noises, tmp_path / "exp"), attention="5")))


@pytest.mark.parametrize("path", sorted(ROOT.glob("egs/*/conf/avn_f*.yaml")), ids=lambda p: f"{p.parts[-3]}-{p.stem}")
def test_every_configuration_of_the_recipes_builds(path):
    settings = apply_schema(read_config(path, []), AvnFConfig, path)
    with torch.device("meta"):
        AvnFModel(settings, 10)


def test_the_full_size_is_that_of_the_papers_table():
    path = ROOT / "egs/voxceleb/conf/avn_f.yaml"
    settings = apply_schema(read_config(path, []), AvnFConfig, path)
    published = replace(AVNFOptions(), trunk_channels=[64, 128, 256, 512], blocks=[3, 4, 6, 3])
    assert options_of(AVNFOptions, settings) == published


def test_a_dry_run_needs_no_data(tmp_path, avsv):
    (tmp_path / "c.yaml").write_text(
        f"task: avn_f\nexp_dir: {tmp_path}/exp\ndata_dir: {tmp_path}/none\nchannels: 4\ntrunk_channels: [4, 4]\n"
        "blocks: [1, 1]\nstem_stride: 4\nbatch_size: 4\nthreads: 1\ndevice: cpu\ncrop_seconds: 0.5\n"
    )
    status, output = avsv("train", tmp_path / "c.yaml", "--people", "10", "--clips", "40", "--dry-run")
    assert status == 0 and "parameters: " in output and not (tmp_path / "exp").exists(), output
