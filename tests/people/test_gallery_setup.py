"""PLDA models, adaptations and calibrations that a gallery copies."""

import shutil

import numpy as np
import pytest

from avsv.errors import InputError, OptionError
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.origin import write_trained_on
from avsv.kaldi.trials import Trials
from avsv.people.gallery import Gallery, create_gallery
from avsv.people.gallery_enrolment import Sample
from avsv.people.gallery_setup import Encoder, make_setup, read_parts
from avsv.people.several import average_clips
from avsv.scoring.backend import make_backend
from avsv.scoring.calibration import Map, ScoreFusion, write_fusion
from avsv.scoring.domain import adapt_clip, learn_adaptation, read_adaptation, write_adaptation
from avsv.scoring.plda import Gaussians, Plda
from avsv.scoring.plda_files import plda_digest, write_plda
from avsv.scoring.projection import Projection
from avsv.scoring.quality_fusion import FusedSystem, Influence, QualityFusion
from avsv.scoring.trial_scores import score
from avsv.scoring.verification import verify
from tests.people.galleries import ENCODERS, MODELS, SIZES, World, logistic


@pytest.fixture
def plda(tmp_path):
    """A PLDA model of voices, and a calibration of its scores and the faces' cosine."""
    rng = np.random.default_rng(0)
    size, d = SIZES["voice"], 10
    gaussians = Gaussians(0.1 * rng.standard_normal(d), np.eye(d) + 0.2 * rng.standard_normal((d, d)),
                          np.linspace(3, 0.1, d))  # fmt: skip
    write_plda(
        tmp_path / "plda", Plda(Projection(rng.standard_normal(size), rng.standard_normal((d, size))), gaussians)
    )
    write_trained_on(tmp_path / "plda", MODELS["voice"])
    trained_on = [f"{MODELS['voice']} plda-{plda_digest(tmp_path / 'plda')}", f"{MODELS['face']} cosine"]
    maps = [Map([True, True], [0.5, 7.0], -2.0), Map([True, False], [0.4], 0.3), Map([False, True], [8.0], -3.0)]
    write_fusion(tmp_path / "c.json", ScoreFusion(["v", "f"], 0.5, [], maps, trained_on))
    return tmp_path / "plda"


def test_plda_scores_several_recordings_by_the_book(tmp_path, plda):
    world = World(1)
    create_gallery(tmp_path / "g", make_setup(ENCODERS, read_parts(tmp_path / "c.json", plda={"voice": plda})))
    gallery, probe = Gallery(tmp_path / "g"), world.clip(3)
    names, vectors, spk2utt = ["probe"], [probe.vectors["voice"]], ""
    for person in range(12):
        samples = [world.sample(person) for _ in range(1 + person % 4)]
        gallery.enroll(f"p{person:02d}", samples, force=True)
        spk2utt += f"p{person:02d} {' '.join(one.digest for one in samples)}\n"
        names += [one.digest for one in samples]
        vectors += [one.clip.vectors["voice"] for one in samples]
    (tmp_path / "spk2utt").write_text(spk2utt)
    people = [f"p{person:02d}" for person in range(12)]
    trials = Trials(people, ["probe"], np.array([[row, 0] for row in range(12)]))
    expected = score(trials, Embeddings(names, np.stack(vectors)), backend=make_backend("plda", plda),
                     spk2utt=tmp_path / "spk2utt", enroll_method="by-the-book")  # fmt: skip
    result = gallery.identify([probe], top=12)[0]
    assert {one.name: one.scores["voice"] for one in result.candidates} == pytest.approx(
        dict(zip(people, expected.tolist(), strict=True)), abs=1e-3
    )
    for one in result.candidates:
        assert one.ratio == pytest.approx(0.5 * one.scores["voice"] + 7 * one.scores["face"] - 2)
    assert result.candidates[0].name == "p03"


def test_a_plda_model_of_other_embeddings_is_refused(tmp_path, plda):
    write_trained_on(plda, "voice:9")
    with pytest.raises(InputError, match="voice:9"):
        make_setup(ENCODERS, read_parts(tmp_path / "c.json", plda={"voice": plda}))
    with pytest.raises(InputError):  # the calibration is of PLDA scores
        make_setup(ENCODERS, read_parts(tmp_path / "c.json"))
    with pytest.raises(OptionError):
        make_setup({"face": ENCODERS["face"]}, read_parts(tmp_path / "c.json", plda={"voice": plda}))


def test_recordings_are_adapted_before_they_are_compared(tmp_path):
    """By similarity to the domain, which the adaptation measures and the calibration uses."""
    world, rng = World(2), np.random.default_rng(2)
    for modality, size in SIZES.items():
        domain = (rng.standard_normal((60, size)) + 0.5).astype(np.float32)
        write_adaptation(tmp_path / modality, learn_adaptation(domain, people=60, model=MODELS[modality]))
    measure = Influence("utt2similarity", False, None, 0.2, [0.2] * 2, [0.1] * 2, [0.3, -0.2], [0.1, 0.4])
    systems = [FusedSystem(name, f"{model}+centered cosine", 2.0, 0.3, 0.1, [measure])
               for name, model in MODELS.items()]  # fmt: skip
    fusion = QualityFusion(0.5, 0.01, systems, [])
    write_fusion(tmp_path / "c.json", fusion)
    folders = [tmp_path / modality for modality in SIZES]
    create_gallery(tmp_path / "g", make_setup(ENCODERS, read_parts(tmp_path / "c.json", folders)))
    adaptations = [read_adaptation(folder) for folder in folders]
    for folder in folders:
        shutil.rmtree(folder)  # the gallery has copies
    gallery, people = Gallery(tmp_path / "g"), {}
    for person in range(8):
        samples = [world.sample(person, world.some_modalities()) for _ in range(2)]
        gallery.enroll(f"p{person}", samples, force=True)
        people[f"p{person}"] = average_clips([adapt_clip(one.clip, adaptations) for one in samples])
    probe = world.clip(5)
    result = gallery.identify([probe], top=8)[0]
    expected = {name: verify(clip, adapt_clip(probe, adaptations), fusion).ratio for name, clip in people.items()}
    assert {one.name: one.ratio for one in result.candidates} == pytest.approx(expected, abs=1e-6)


def test_one_modality_is_enough(tmp_path):
    fusion = ScoreFusion(["v"], 0.5, [], [Map([True], [10.0], -4.0)], [f"{MODELS['voice']} cosine"])
    write_fusion(tmp_path / "c.json", fusion)
    create_gallery(tmp_path / "g", make_setup({"voice": ENCODERS["voice"]}, read_parts(tmp_path / "c.json")))
    gallery, world = Gallery(tmp_path / "g"), World(4)
    clips = [world.clip(person, ["voice"]) for person in range(3)]
    for clip in clips:
        del clip.models["face"], clip.absent["face"]
    for number, clip in enumerate(clips[:2]):
        gallery.enroll(f"p{number}", [Sample(f"/{number}", str(number), clip)])
    result = gallery.identify([clips[1]])[0]
    assert result.name == "p1" and result.candidates[0].modalities == ("voice",)
    assert gallery.people()[0].n_with == {"voice": 1}


def test_missing_and_wrong_parts_are_refused_with_their_names(tmp_path):
    with pytest.raises(InputError, match="absent"):
        read_parts(tmp_path / "absent.json")
    write_fusion(tmp_path / "c.json", logistic())
    with pytest.raises(InputError, match="no_adaptation"):
        read_parts(tmp_path / "c.json", [tmp_path / "no_adaptation"])
    with pytest.raises(InputError, match="no_plda"):
        read_parts(tmp_path / "c.json", plda={"voice": tmp_path / "no_plda"})
    with pytest.raises(InputError, match="voice:9"):
        make_setup({**ENCODERS, "voice": Encoder("x", "voice:9")}, read_parts(tmp_path / "c.json"))
