"""The model card that every training writes."""

import numpy as np
import pytest
import yaml

from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.tables import write_table
from avsv.models.model_cards import UNKNOWN, licence_of, write_card
from avsv.training.config import OptimizerConfig
from avsv.training.task import train
from avsv.training.tasks.avn_e import AvnETask, FusionConfig


@pytest.fixture
def config(tmp_path):
    """A training on the embeddings of four clips of each of three people, with held-out people."""
    rng = np.random.default_rng(0)
    for name in ("train", "held"):
        folder = tmp_path / name
        utts = {f"{name}{person}-{clip}": f"{name}{person}" for person in range(3) for clip in range(4)}
        write_table(folder / "utt2spk", utts)
        for modality, size in (("voice", 6), ("face", 8)):
            vectors = rng.standard_normal((len(utts), size)).astype(np.float32)
            write_embeddings(folder / f"{modality}.ark", folder / f"{modality}.scp", [*utts], vectors)
    return FusionConfig(
        task="avn_e", exp_dir=str(tmp_path / "exp"), data_dir=str(tmp_path / "train"), size=8, epochs=2, batch_size=6,
        voice=str(tmp_path / "train/voice.scp"), face=str(tmp_path / "train/face.scp"), device="cpu", threads=1,
        valid_dir=str(tmp_path / "held"), valid_voice=str(tmp_path / "held/voice.scp"),
        valid_face=str(tmp_path / "held/face.scp"), optimizer=OptimizerConfig(lr=0.004),
    )  # fmt: skip


def test_a_training_writes_its_data_results_configuration_use_and_provenance(config, tmp_path):
    train(AvnETask(config))
    text = (tmp_path / "exp/README.md").read_text()
    header = yaml.safe_load(text.split("---\n")[1])
    assert header["license"] == "unknown" and header["library_name"] == "avsv" and "avn-e" in header["tags"]
    assert "12 clips of 3 people" in text and str(tmp_path / "held") in text
    assert "| optimizer.lr | 0.004 |" in text and "| seed | 0 |" in text and "| torch |" in text
    assert 'avsv.load_fusion("FOLDER")' in text
    history = (tmp_path / "exp/history.jsonl").read_text().splitlines()
    errors = [yaml.safe_load(line)["eer_percent"] for line in history]
    assert f"{errors[-1]:.2f} after epoch 2, the last one" in text and f"{min(errors):.2f} after epoch" in text


def test_a_licence_that_the_user_writes_into_the_card_is_kept_and_read(config, tmp_path):
    config.valid_dir = config.valid_voice = config.valid_face = ""
    train(AvnETask(config))
    card = tmp_path / "exp/README.md"
    assert licence_of(tmp_path / "exp") == UNKNOWN and "Not measured" in card.read_text()
    card.write_text(card.read_text().replace("license: unknown", "license: cc-by-4.0"))
    train(AvnETask(config))  # complete already
    assert licence_of(tmp_path / "exp") == "cc-by-4.0"


def test_a_copied_card_keeps_its_text_under_another_licence(tmp_path):
    (tmp_path / "a.md").write_text("---\nlicense: mit\ntags: [x]\n---\n# Title\n---\nend\n")
    write_card(tmp_path / "b.md", tmp_path / "a.md", "Apache-2.0")
    assert (tmp_path / "b.md").read_text() == "---\nlicense: Apache-2.0\ntags: [x]\n---\n# Title\n---\nend\n"
    write_card(tmp_path / "c.md", tmp_path / "absent.md", UNKNOWN)
    assert yaml.safe_load((tmp_path / "c.md").read_text().split("---\n")[1]) == {"license": "unknown"}
