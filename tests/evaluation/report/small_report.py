"""A small experiment with audio and faces, for the tests of the report."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image

from avsv.evaluation.report.curves import Curves
from avsv.evaluation.report.results import Options
from avsv.evaluation.report.write import write_report
from avsv.kaldi.tables import write_table

HOSTILE = 'p0-<img/src="x"/onerror="alert(1)">&amp;'


@dataclass
class Experiment:
    """Folders of two systems, voice and face, and of the test set; in `noisy` one clip is damaged, one has no face."""

    folder: Path
    names: list[str]

    @property
    def exp(self):
        return self.folder / "exp"

    @property
    def data(self):
        return self.folder / "data" / "test"

    def report(self, out="results", options=None, **more):
        """Write the report; returns its folder."""
        options = options or Options(n_resamples=50, utt2spk=self.data / "utt2spk")
        write_report(self.exp, self.folder / out, self.data / "trials", options, **more)
        return self.folder / out


def make_experiment(folder: Path, conditions=("", "@noisy")) -> Experiment:
    rng = np.random.default_rng(0)
    people = [f"p{person}" for person in range(6)]
    names = [HOSTILE if (spk, clip) == ("p0", 0) else f"{spk}-{clip}" for spk in people for clip in range(4)]
    experiment = Experiment(folder, names)
    make_data(experiment, names)
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    (experiment.data / "trials").mkdir()
    same = np.array([a[:2] == b[:2] for a, b in pairs])
    lines = [f"{a} {b} {'target' if label else 'nontarget'}\n" for (a, b), label in zip(pairs, same)]
    (experiment.data / "trials" / "t").write_text("".join(lines))
    for system, distance in (("voice", 1.5), ("face", 2.5)):
        scores = experiment.exp / system / "scores"
        scores.mkdir(parents=True)
        for condition in conditions:
            values = rng.standard_normal(len(pairs)) + distance * same
            text = "".join(f"{a} {b} {value:.6g}\n" for (a, b), value in zip(pairs, values))
            (scores / f"t{condition}.cosine").write_text(text)
    return experiment


def make_data(experiment: Experiment, names: list[str]) -> None:
    rng = np.random.default_rng(1)
    media = experiment.folder / "media"
    media.mkdir(parents=True)
    wav, video = {}, {}
    for number, name in enumerate(names):
        wav[name], video[name] = str(media / f"{number}.wav"), str(media / f"{number}.jpg")
        soundfile.write(wav[name], 0.1 * rng.standard_normal(4000), 16000)
        Image.fromarray(rng.integers(0, 256, (200, 180, 3), np.uint8)).save(video[name])
    tables = {"utt2spk": {name: name[:2] for name in names}, "wav.scp": wav, "video.scp": video,
              "spk2gender": {name[:2]: "fm"[int(name[1]) % 2] for name in names}}  # fmt: skip
    damage = {"modality": "voice", "kind": "noise", "sources": [[wav[names[1]], 0.5]], "snr": 3.0}
    noisy = {**tables, "video.scp": {name: path for name, path in video.items() if name != names[2]}}
    noisy["utt2damage"] = dict.fromkeys(names[4:], json.dumps(damage))
    for condition, its_tables in (("", tables), ("_noisy", noisy)):
        for table, rows in its_tables.items():
            write_table(Path(f"{experiment.data}{condition}") / table, rows)


def curves_of(record: dict) -> Curves:
    """A record in place of a table's curves; it has nothing to draw."""
    return Curves(0, record, 0.0, (np.empty(0), np.empty(0)), None, (np.empty(0),) * 3, (np.empty(0),) * 2)
