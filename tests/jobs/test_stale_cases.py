"""The seventeen ways in which a result can outlive its inputs: each is redone or refused, none is kept.

A small experiment that tests the mechanism alone, without networks: embeddings of clean and noisy clips, a back-end,
scores, a normalisation, a calibration and a training. Every stage is run again after each change.
"""

import os
from pathlib import Path

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.jobs.fingerprints import file_digest
from avsv.jobs.provenance import MadeFrom, refuse_stale
from avsv.jobs.shards import Shard
from avsv.kaldi.damage import damage_table, noise_files, read_damage
from avsv.kaldi.media_files import media_stamp, with_stamps
from avsv.kaldi.shards import make_archives
from avsv.kaldi.tables import read_table, write_table

CLIPS = "abcd"


class Experiment:
    """Stages that return what they did: "current", "redone", the clips that were embedded, or the error."""

    def __init__(self):
        self.frames, self.top_n, self.rate, self.total, self.broken = 5, 300, 0.1, 1, {"d"}
        for folder in ("wav", "noise", "data", "noisy"):
            Path(folder).mkdir()
        for name in CLIPS:
            Path(f"wav/{name}.wav").write_text(f"clip {name}")
        Path("noise/rain.wav").write_text("rain")
        write_table(Path("data/wav.scp"), {name: f"wav/{name}.wav" for name in CLIPS})
        write_table(Path("noisy/wav.scp"), {name: f"wav/{name}.wav" for name in CLIPS})
        self.draw(snr=5)
        for name in ("weights", "utt2spk", "trials", "cohort", "train_trials", "train_scores", "quality"):
            Path(name).write_text(f"{name} 1\n")
        self.run()
        assert set(self.run().values()) == {"current"}

    def draw(self, snr):
        record = {"modality": "voice", "kind": "noise", "sources": [["noise/rain.wav", 0.0]], "snr": snr}
        write_table(Path("noisy/utt2damage"), damage_table({"b": [record]}))

    def run(self):
        stages = ("embed", "embed_noisy", "plda", "score", "normalize", "calibrate", "train")
        return {stage: getattr(self, stage)() for stage in stages}

    def embed(self, data="data", out="voice"):
        wav, damage = read_table(Path(data, "wav.scp")), read_damage(data, "voice")
        settings = {"model": file_digest("weights"), "frames": self.frames}
        done = []

        def work(keys, writer):
            done.extend(keys)
            for key in keys:
                if key in self.broken:
                    writer.skip(key, "cannot be read")
                else:
                    content = Path(wav[key]).read_text() + str(settings) + str(damage.get(key))
                    writer.write("embedding", key, np.random.default_rng(list(content.encode())).normal(size=3))

        for job in range(1, self.total + 1):
            shard = Shard(job, self.total)
            inputs = {key: damage.get(key) for key in wav}
            inputs = with_stamps(inputs, lambda key: [wav[key], *noise_files(damage.get(key))], shard)
            made = MadeFrom("embed-voice", {"model": "weights", "data": f"{data}/wav.scp"}, settings)
            make_archives(out, ["embedding"], inputs, settings, work, shard, 1.0, made=made)
        left = "".join(sorted(set(done) - self.broken))
        return left or "current"

    def embed_noisy(self):
        return self.embed("noisy", "voice_noisy")

    def plda(self):
        return self.stage("plda", {"embeddings": "voice/embedding.scp", "people": "utt2spk"}, {})

    def score(self):
        return self.stage("score", {"trials": "trials", "enroll": "voice/embedding.scp", "plda": "plda"}, {})

    def normalize(self):
        return self.stage("normalize", {"scores": "score", "cohort": "cohort"}, {"top_n": self.top_n})

    def calibrate(self):
        inputs = {"scores": "normalize", "train trials": "train_trials", "train scores": "train_scores"}
        return self.stage("calibrate", {**inputs, "quality": "quality"}, {})

    def stage(self, out, inputs, options):
        try:
            made = MadeFrom(out, inputs, options)
        except InputError as error:
            return f"refused: {error}"
        if made.is_current(out):
            return "current"
        Path(out).write_text(f"{options} {[file_digest(path) for path in inputs.values()]}")
        made.write(out)
        return "redone"

    def train(self):
        media = {"media": media_stamp([read_table(Path("data/wav.scp"))])}
        made = MadeFrom("train voice", {"data": "utt2spk"}, {"rate": self.rate}, seed=0, values=media)
        if Path("exp/made_from.json").exists():
            changes = made.changes("exp")
            return "current" if not changes else f"refused: {changes}"
        Path("exp").mkdir()
        Path("exp/network.ckpt").write_text("weights")
        made.write_folder("exp", ["network.ckpt"])
        return "redone"


@pytest.fixture
def experiment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Experiment()


def write(name, text):
    """New content of the same size, with a new time."""
    path = Path(name)
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1_000_000))


def set_to(name, value):
    return lambda experiment: setattr(experiment, name, value)


def rewrite(name):
    return lambda experiment: write(name, Path(name).read_text()[::-1])


def mend_clip(experiment):
    experiment.broken = set()


def rename_an_archive(experiment):
    Path("voice/embedding.ark").rename("voice/embedding_old.ark")


ALL = "abc"
CASES = {
    "a clip replaced under its name": (rewrite("wav/a.wav"), {"embed": "a", "embed_noisy": "a", "train": "refused"}),
    "another table": (rewrite("utt2spk"), {"plda": "redone", "train": "refused"}),
    "other trials": (rewrite("trials"), {"score": "redone"}),
    "other weights of the model": (rewrite("weights"), {"embed": ALL, "embed_noisy": ALL}),
    "another option of the model": (set_to("frames", 7), {"embed": ALL, "embed_noisy": ALL}),
    "another noise under its name": (rewrite("noise/rain.wav"), {"embed": "current", "embed_noisy": "b"}),
    "another noisy set": (lambda experiment: experiment.draw(snr=0), {"embed": "current", "embed_noisy": "b"}),
    "a clip that can be used now": (mend_clip, {"embed": "d", "embed_noisy": "d"}),
    "another cohort": (rewrite("cohort"), {"normalize": "redone", "calibrate": "redone"}),
    "another back-end": (rewrite("plda"), {"plda": "redone"}),
    "other scores": (rewrite("score"), {"score": "redone"}),
    "another training list": (rewrite("train_trials"), {"calibrate": "redone"}),
    "other training scores": (rewrite("train_scores"), {"calibrate": "redone"}),
    "another quality table": (rewrite("quality"), {"calibrate": "redone"}),
    "another --top-n": (set_to("top_n", 100), {"score": "current", "normalize": "redone", "calibrate": "redone"}),
    "another configuration of a training": (set_to("rate", 0.2), {"train": "refused"}),
    "another number of shards": (set_to("total", 2), {"embed": ALL, "embed_noisy": ALL}),
    "a run renamed in part": (rename_an_archive, {"embed": ALL, "embed_noisy": "current"}),
}


@pytest.mark.parametrize("name", CASES)
def test_only_results_of_the_change_are_redone_or_refused(experiment, name):
    change, expected = CASES[name]
    change(experiment)
    outcome = experiment.run()
    assert {stage: outcome[stage].partition(":")[0] for stage in expected} == expected
    again = experiment.run()
    assert {stage for stage, what in again.items() if what != "current"} == {
        stage for stage, what in outcome.items() if what.startswith("refused")
    }


@pytest.mark.parametrize("name, file", [
    ("other trials", "score"), ("another cohort", "normalize"), ("another back-end", "score"),
    ("other scores", "normalize"), ("another training list", "calibrate"), ("other training scores", "calibrate"),
    ("another quality table", "calibrate"), ("another table", "plda"),
    ("other weights of the model", "voice/embedding.scp"),
])  # fmt: skip
def test_a_command_that_reads_a_stale_result_is_refused(experiment, name, file):
    """A stage is run alone, as with --stage 7."""
    for reader in (file, "calibrate"):
        refuse_stale(reader)
    CASES[name][0](experiment)
    for reader in (file, "calibrate"):
        with pytest.raises(InputError, match=file):
            refuse_stale(reader)


def test_embeddings_stay_current_when_the_corpus_is_moved(experiment):
    Path("wav").rename("elsewhere")
    for data in ("data", "noisy"):
        write_table(Path(data, "wav.scp"), {name: f"elsewhere/{name}.wav" for name in CLIPS})
    outcome = experiment.run()
    assert outcome["embed"] == "current" and outcome["score"] == "current" and outcome["train"] == "current"


def test_rewriting_the_same_content_is_not_a_change(experiment):
    for name in ("trials", "utt2spk", "cohort", "weights"):
        write(name, Path(name).read_text())
    assert set(experiment.run().values()) == {"current"}
