"""Small sets of embeddings, trials and models for tests of the commands."""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from avsv.jobs.records import record_path
from avsv.kaldi.embeddings import write_embeddings
from tests.commands.clips import encoders, media, vectors  # noqa: F401 (fixtures)


@dataclass
class World:
    """Files of a simulated system: embeddings of test speakers with trials, and of training speakers with utt2spk."""

    folder: Path
    trials: Path
    test: Path
    train: Path
    utt2spk: Path
    train_trials: Path

    def scores(self, name):
        """The third column of a score file."""
        return np.loadtxt(self.folder / name, usecols=2)

    def forget_sources(self, name):
        """Remove the record of a score file, as for scores from another toolkit."""
        record_path(self.folder / name).unlink()

    def leave_out(self, *names):
        """Remove recordings from the test embeddings."""
        lines = [line for line in self.test.read_text().splitlines() if line.split()[0] not in names]
        self.test.write_text("\n".join(lines) + "\n")


@pytest.fixture
def avsv(avsv, caplog):
    """Call `avsv VERB ...`: (exit status, log messages and output). Under pytest, the log does not go to stderr."""
    caplog.set_level(logging.INFO, logger="avsv")

    def call(*argv):
        caplog.clear()
        status, output = avsv(*argv)
        return status, "".join(f"{record.getMessage()}\n" for record in caplog.records) + output

    return call


@pytest.fixture
def world(tmp_path):
    rng = np.random.default_rng(0)
    scps = {}
    for part, n_speakers in (("test", 8), ("train", 30)):
        names = [f"{part}{speaker:02d}-{clip}" for speaker in range(n_speakers) for clip in range(5)]
        means = np.repeat(rng.standard_normal((n_speakers, 12)), 5, axis=0)
        # two directions vary mostly within speakers, which PLDA can model
        drawn = means + rng.standard_normal((len(names), 12)) * ([0.7] * 10 + [2.0] * 2)
        scps[part] = tmp_path / f"{part}.scp"
        write_embeddings(tmp_path / f"{part}.ark", scps[part], names, drawn)
        lines = []
        for _ in range(300):
            one, other = rng.choice(len(names), 2, replace=False)
            same = names[one][:-2] == names[other][:-2]
            lines.append(f"{names[one]} {names[other]} {'target' if same else 'nontarget'}\n")
        for speaker in range(n_speakers):
            first = names[5 * speaker]
            lines += [f"{first} {first[:-1]}{clip} target\n" for clip in (1, 2, 3)]
        (tmp_path / f"{part}.trials").write_text("".join(dict.fromkeys(lines)))
        (tmp_path / f"{part}.utt2spk").write_text("".join(f"{name} {name[:-2]}\n" for name in names))
    return World(
        tmp_path, tmp_path / "test.trials", scps["test"], scps["train"],
        tmp_path / "train.utt2spk", tmp_path / "train.trials",
    )  # fmt: skip


@pytest.fixture(scope="session")
def encoder(tmp_path_factory):
    """A folder with a small untrained speaker encoder, exported to ONNX once instead of by each command."""
    from avsv.models import onnx_encoder
    from tests.models.small_encoder import write_encoder

    folder = write_encoder(tmp_path_factory.mktemp("encoder"))
    export, exported = onnx_encoder.as_onnx, {}

    def export_once(network, n_mels):
        weights = b"".join(value.numpy().tobytes() for value in network.state_dict().values())
        key = (str(network), weights, n_mels)
        if key not in exported:
            exported[key] = export(network, n_mels)
        return exported[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnx_encoder, "as_onnx", export_once)
        yield folder
