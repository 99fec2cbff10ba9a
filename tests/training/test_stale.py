"""A finished training is not reused for changed data: vectors, media and noises replaced under the same names."""

import os

import numpy as np
import pytest
import soundfile

from avsv.cli import main
from avsv.errors import InputError
from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.training.config import OptimizerConfig
from avsv.training.task import train
from avsv.training.tasks.voice import VoiceConfig, VoiceTask

FUSION = """
task: avn_e
exp_dir: {folder}/fusion
data_dir: {folder}
voice: {folder}/voice.scp
face: {folder}/face.scp
size: 8
epochs: 1
batch_size: 8
device: cpu
"""
ASSOCIATION = """
task: association
system: infonce
exp_dir: {folder}/association
data_dir: {folder}
voice: {folder}/voice.scp
face: {folder}/face.scp
epochs: 1
batch_size: 4
device: cpu
"""
VALIDATION = "valid_dir: {folder}/valid\nvalid_voice: {folder}/valid/voice.scp\nvalid_face: {folder}/valid/face.scp\n"


def write_people(folder, prefix, seed):
    folder.mkdir(exist_ok=True)
    utts = [f"{prefix}{person}-{clip}" for person in range(4) for clip in range(4)]
    (folder / "utt2spk").write_text("".join(f"{utt} {utt.split('-')[0]}\n" for utt in utts))
    (folder / "wav.scp").write_text("".join(f"{utt} {folder}/absent.wav\n" for utt in utts))
    rng = np.random.default_rng(seed)
    for name in ("voice", "face"):
        write_embeddings(folder / f"{name}.ark", folder / f"{name}.scp", utts, rng.normal(size=(len(utts), 6)))


@pytest.fixture
def folder(tmp_path):
    write_people(tmp_path, "p", 0)
    write_people(tmp_path / "valid", "v", 1)
    return tmp_path


def change(scp):
    """New vectors of the same clips in the same files."""
    before = scp.read_bytes()
    old = read_embeddings(scp)
    write_embeddings(scp.with_suffix(".ark"), scp, old.ids, old.vectors + 1)
    assert scp.read_bytes() == before


@pytest.mark.parametrize("config", [FUSION, ASSOCIATION], ids=["fusion", "association"])
@pytest.mark.parametrize("changed", ["voice.scp", "face.scp", "valid/face.scp"])
def test_changed_vectors_under_the_same_scp_are_other_data(avsv, folder, config, changed):
    (folder / "c.yaml").write_text((config + VALIDATION).format(folder=folder))
    assert avsv("train", folder / "c.yaml")[0] == 0
    assert avsv("train", folder / "c.yaml")[0] == 0
    change(folder / changed)
    status, output = avsv("train", folder / "c.yaml")
    assert status == 1 and "other data" in output


def test_rewriting_the_same_vectors_is_not_a_change(avsv, folder):
    """The archives may be split differently, and be newer than the network."""
    (folder / "c.yaml").write_text(FUSION.format(folder=folder))
    assert avsv("train", folder / "c.yaml")[0] == 0
    old = read_embeddings(folder / "voice.scp")
    write_embeddings(folder / "other.ark", folder / "voice.scp", old.ids, old.vectors)
    assert avsv("train", folder / "c.yaml")[0] == 0
    pair = ["embed-pair", "--model", folder / "fusion", "--voice", folder / "voice.scp", "--face", folder / "face.scp"]
    assert avsv(*pair, folder / "fused")[0] == 0


def test_a_network_trained_on_other_vectors_refuses_to_fuse(avsv, folder):
    """Stage 6 is run alone after stage 3 with another encoder."""
    (folder / "c.yaml").write_text(FUSION.format(folder=folder))
    assert avsv("train", folder / "c.yaml")[0] == 0
    pair = ["embed-pair", "--model", folder / "fusion", "--voice", folder / "valid/voice.scp", "--face",
            folder / "valid/face.scp", folder / "fused"]  # fmt: skip
    assert avsv(*pair)[0] == 0
    change(folder / "voice.scp")
    status, output = avsv(*pair)
    assert status == 1 and "fusion.safetensors" in output and "voice" in output


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a finished training, which tests leave as it was."""
    folder = tmp_path_factory.mktemp("trained")
    write_people(folder, "p", 0)
    (folder / "c.yaml").write_text(FUSION.format(folder=folder))
    assert main(["train", str(folder / "c.yaml")]) == 0
    return folder


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"inputs": 5}', "null"])
def test_a_damaged_record_of_a_training_is_named(avsv, trained, text):
    record = trained / "fusion/made_from.json"
    intact = record.read_bytes()
    record.write_text(text)
    status, message = avsv("train", trained / "c.yaml")
    record.write_bytes(intact)
    assert status == 1 and "fusion/made_from.json" in message


def test_a_configuration_of_another_task_is_refused(avsv, folder):
    (folder / "c.yaml").write_text(FUSION.format(folder=folder))
    status, output = avsv("train", "--task", "voice", folder / "c.yaml", f"exp_dir={folder}/x")
    assert status == 1 and "avn_e" in output and "voice" in output and not (folder / "x").exists()
    assert avsv("train", "--task", "avn_e", folder / "c.yaml", f"exp_dir={folder}/x")[0] == 0
    assert (folder / "x/done").exists()


def write_sounds(folder, names, seed=0):
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    for name in names:
        soundfile.write(folder / f"{name}.wav", 0.1 * rng.normal(size=16000), 16000)
    (folder / "wav.scp").write_text("".join(f"{name} {folder}/{name}.wav\n" for name in names))


@pytest.mark.parametrize("changed", ["data/p1-1.wav", "noise/music.wav", "valid/v1-1.wav"])
def test_a_recording_replaced_under_its_name_is_other_data(tmp_path, changed):
    for folder, names in (("data", "pq"), ("valid", "vw")):
        utts = [f"{person}1-{clip}" for person in names for clip in range(2)]
        write_sounds(tmp_path / folder, utts)
        (tmp_path / folder / "utt2spk").write_text("".join(f"{utt} {utt[:2]}\n" for utt in utts))
    sorts = ["noise", "music", "speech", "rir"]
    write_sounds(tmp_path / "noise", sorts)
    (tmp_path / "noise/utt2spk").write_text("".join(f"{sort} {sort}\n" for sort in sorts))
    config = VoiceConfig(task="voice", exp_dir=str(tmp_path / "exp"), data_dir=str(tmp_path / "data"), channels=8,
                         attention_channels=4, embedding_size=6, crop_seconds=(0.4, 0.5), batch_size=4, epochs=1,
                         noise_dir=str(tmp_path / "noise"), valid_dir=str(tmp_path / "valid"), workers=0, device="cpu",
                         speeds=(1.0,), optimizer=OptimizerConfig(lr=0.003))  # fmt: skip
    train(VoiceTask(config))
    train(VoiceTask(config))  # trained already
    file = tmp_path / changed
    before = os.stat(file)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))
    with pytest.raises(InputError, match="other data"):
        train(VoiceTask(config))
