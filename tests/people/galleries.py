"""Small galleries of synthetic people, whose clips need no media."""

import numpy as np

from avsv.people.gallery import Gallery, create_gallery
from avsv.people.gallery_enrolment import Sample
from avsv.people.gallery_setup import CALIBRATION, Encoder, make_setup
from avsv.people.operating_point import Goal, OperatingPoint, Rate
from avsv.scoring.calibration import Map, ScoreFusion, write_fusion
from avsv.scoring.quality_fusion import FusedSystem, Influence, QualityFusion
from avsv.scoring.verification import Clip

SIZES = {"voice": 48, "face": 32}
MODELS = {"voice": "voice:1", "face": "face:2"}
ENCODERS = {name: Encoder(f"/models/{name}", model) for name, model in MODELS.items()}


def logistic(models=MODELS):
    """A logistic fusion with a map for each set of modalities; face first."""
    maps = [Map([True, True], [9.0, 7.0], -6.0), Map([True, False], [10.0], -4.0), Map([False, True], [8.0], -3.0)]
    return ScoreFusion(["f", "v"], 0.5, [], maps, [f"{models['face']} cosine", f"{models['voice']} cosine"])


def by_quality(models=MODELS):
    """A quality-dependent fusion in which quality matters much."""

    def influence(table, log, mean):
        return Influence(f"exp/{table}", log, None, mean, [mean] * 2, [0.5, 0.6], [0.3, -0.2], [0.1, 0.4])

    voice = [influence("utt2snr", False, 15.0), influence("utt2dur", True, 1.0)]
    face = [influence("utt2face_size", True, 4.0)]
    systems = [FusedSystem("v", f"{models['voice']} cosine", 2.0, 0.3, 0.1, voice),
               FusedSystem("f", f"{models['face']} cosine", 2.3, 0.4, -0.2, face)]  # fmt: skip
    return QualityFusion(0.5, 0.01, systems, [])


def parts_of(folder, fusion):
    write_fusion(folder / "c.json", fusion)
    return {"calibration": {CALIBRATION: (folder / "c.json").read_bytes()}}


def make_gallery(folder, fusion=None, name="people.gallery"):
    create_gallery(folder / name, make_setup(ENCODERS, parts_of(folder, fusion or logistic())))
    return Gallery(folder / name)


def operating_point(threshold, digest):
    """An operating point of a calibration, given by its digest."""
    none = Rate(0.0, 0.0, 0.1, 0, 50)
    return OperatingPoint(threshold=threshold, goal=Goal(0.01), calibration=digest, trained_on=[], people=9,
                          supported=True, lowest_supported=0.1, lowest_shown=0.1, false_acceptance=none,
                          false_rejection=none, cost=None, warnings=[])  # fmt: skip


class World:
    """People with random voices and faces, and recordings of them that lack a modality now and then."""

    def __init__(self, seed=0, n_people=40, noise=0.5):
        self.rng, self.noise = np.random.default_rng(seed), noise
        self.means = {name: self.rng.standard_normal((n_people, size)) for name, size in SIZES.items()}
        self.n_samples = 0

    def clip(self, person, modalities=("voice", "face")):
        vectors, quality = {}, {}
        for name in modalities:
            mean = self.means[name][person]
            vectors[name] = (mean + self.noise * self.rng.standard_normal(len(mean))).astype(np.float32)
        measured = {"voice": {"utt2snr": self.rng.uniform(5, 30), "utt2dur": self.rng.uniform(1, 9)},
                    "face": {"utt2face_size": self.rng.uniform(70, 200)}}  # fmt: skip
        quality = {name: measured[name] for name in modalities}
        absent = {name: f"no {name}" for name in SIZES if name not in modalities}
        return Clip(vectors, absent, dict(MODELS), quality)

    def sample(self, person, modalities=("voice", "face")):
        self.n_samples += 1
        return Sample(f"/media/{self.n_samples}.mp4", f"{self.n_samples:016x}", self.clip(person, modalities))

    def some_modalities(self):
        return [("voice",), ("face",), ("voice", "face")][self.rng.integers(3)]
