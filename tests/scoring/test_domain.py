"""Adaptation to a domain: centres, shrinkage and matrices, compared with NumPy, SciPy and scikit-learn."""

import json
import logging
from functools import partial

import numpy as np
import pytest
from scipy.linalg import sqrtm

from avsv.errors import InputError, OptionError
from avsv.evaluation.errors import eer
from avsv.kaldi.embeddings import Embeddings
from avsv.scoring.cosine import unit_length
from avsv.scoring.domain import (
    HALF,
    Adaptation,
    adapt_clip,
    apply_by_fold,
    learn_adaptation,
    read_adaptation,
    write_adaptation,
)
from avsv.scoring.domain_similarity import choose_members, similarity
from avsv.scoring.projection import Projection
from avsv.scoring.verification import Clip

RNG = np.random.default_rng(0)
DOMAIN = (RNG.standard_normal((400, 4)) @ RNG.standard_normal((4, 4)) + 5).astype(np.float32)
SOURCE = (RNG.standard_normal((300, 4)) * [3, 2, 1, 0.5] - 1).astype(np.float32)


def test_centring_leaves_a_domain_of_many_people_with_mean_zero():
    adapted = learn_adaptation(DOMAIN).apply(DOMAIN)
    assert adapted.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-5)
    assert adapted - adapted[0] == pytest.approx(DOMAIN - DOMAIN[0], abs=1e-5)


@pytest.mark.parametrize("people", [1, 4, HALF, 400])
def test_the_center_lies_between_the_means_of_domain_and_source_by_the_number_of_people(people):
    found = learn_adaptation(DOMAIN, source=SOURCE, people=people)
    share = people / (people + 16)
    assert found.share == pytest.approx(share)
    expected = share * DOMAIN.mean(axis=0, dtype=float) + (1 - share) * SOURCE.mean(axis=0, dtype=float)
    assert found.projection.center == pytest.approx(expected, abs=1e-5)


def test_a_tenth_of_the_recordings_is_the_assumed_number_of_people():
    assert learn_adaptation(DOMAIN, source=SOURCE).share == pytest.approx(40 / 56)
    assert learn_adaptation(DOMAIN[:7], source=SOURCE).share == pytest.approx(1 / 17)


def test_whitening_with_many_people_gives_the_identity_and_keeps_the_axes():
    domain = np.random.default_rng(1).standard_normal((4000, 4)) @ (np.eye(4) + 0.3)
    found = learn_adaptation(domain, "whiten", people=4000)
    adapted = found.apply(domain).astype(float)
    assert np.cov(adapted.T) == pytest.approx(np.eye(4), abs=0.05)
    assert found.projection.transform == pytest.approx(found.projection.transform.T)
    assert (np.linalg.eigvalsh(found.projection.transform) > 0).all()


def test_whitening_with_two_people_only_centres():
    whitened = learn_adaptation(DOMAIN, "whiten", people=2).projection.transform
    assert whitened == pytest.approx(whitened[0, 0] * np.eye(4), rel=1e-6)


@pytest.mark.parametrize("people", [2, 40, 400])
def test_coral_gives_the_domain_the_covariance_of_the_source(people):
    own, source = (np.cov(vectors.T.astype(float), bias=True) for vectors in (DOMAIN, SOURCE))
    own = ((people - 1) * own + 4 * source) / (people - 1 + 4)
    ridge = np.trace(own) / 4 * np.eye(4)
    expected = sqrtm(source + ridge) @ np.linalg.inv(sqrtm(own + ridge))
    found = learn_adaptation(DOMAIN, "coral", SOURCE, people)
    assert found.projection.transform == pytest.approx(expected.real, rel=1e-4, abs=1e-5)


def test_coral_between_equal_domains_and_with_one_person_changes_no_covariance():
    for domain, people in ((SOURCE, 300), (DOMAIN, 1)):
        found = learn_adaptation(domain, "coral", SOURCE, people)
        assert found.projection.transform == pytest.approx(np.eye(4), abs=1e-5)


@pytest.mark.parametrize(
    "domain, options, error",
    [
        (DOMAIN[:0], {}, InputError),
        (DOMAIN[:1], {}, InputError),
        (DOMAIN[:0], {"method": "whiten", "source": SOURCE}, InputError),
        (DOMAIN[:1, :3], {"source": SOURCE}, InputError),
        (DOMAIN, {"source": SOURCE[:1]}, InputError),
        (DOMAIN, {"source": SOURCE[:, :3]}, InputError),
        (np.where(np.arange(4) == 2, np.nan, DOMAIN), {}, InputError),
        (DOMAIN, {"source": np.where(np.arange(4) == 2, np.inf, SOURCE)}, InputError),
        (np.ones((20, 4)), {"method": "whiten"}, InputError),
        (np.ones((20, 4)), {"method": "coral", "source": SOURCE}, InputError),
        (DOMAIN, {"method": "coral"}, OptionError),
        (DOMAIN, {"people": 0}, OptionError),
    ],
)
def test_a_domain_that_nothing_can_be_learnt_from_is_refused(domain, options, error):
    with pytest.raises(error):
        learn_adaptation(domain, **options)


@pytest.mark.parametrize("n", [0, 1])
@pytest.mark.parametrize("method", ["center", "coral"])
def test_without_recordings_a_domain_is_taken_to_be_like_the_source(caplog, n, method):
    with caplog.at_level(logging.WARNING, logger="avsv"):
        adaptation = learn_adaptation(DOMAIN[:n], method, SOURCE)
    assert len(caplog.records) == 1 and adaptation.share == 0
    assert adaptation.apply(DOMAIN) == pytest.approx(DOMAIN - SOURCE.mean(axis=0), abs=1e-5)
    members = SOURCE - SOURCE.mean(axis=0)
    assert adaptation.members == pytest.approx(members / np.linalg.norm(members, axis=1, keepdims=True), abs=1e-5)


@pytest.mark.parametrize("people, warned", [(2, True), (HALF - 1, True), (HALF, False), (None, False)])
def test_few_people_are_warned_of(caplog, people, warned):
    with caplog.at_level(logging.WARNING, logger="avsv"):
        learn_adaptation(DOMAIN, people=people)
    assert bool(caplog.records) == warned
    if warned:
        assert f"{people} people" in caplog.text and str(HALF) in caplog.text
    caplog.clear()
    learn_adaptation(DOMAIN, source=SOURCE, people=people)
    assert not caplog.records


def test_embeddings_of_another_size_are_refused():
    with pytest.raises(InputError, match="4 values, found 3"):
        learn_adaptation(DOMAIN).apply(DOMAIN[:, :3])


def test_each_fold_is_adapted_by_the_others_alone():
    names = [f"{row}" for row in range(len(DOMAIN))]
    fold_of = {name: str(row % 3) for row, name in enumerate(names)}
    learn = partial(learn_adaptation, source=SOURCE)
    found, similarities = apply_by_fold(Embeddings(names, DOMAIN), Embeddings(names, DOMAIN), fold_of, learn, 60)
    for fold in range(3):
        rows = np.arange(len(DOMAIN)) % 3 == fold
        n_people = round(60 * (~rows).sum() / len(DOMAIN))
        share = n_people / (n_people + 16)
        center = share * DOMAIN[~rows].mean(axis=0) + (1 - share) * SOURCE.mean(axis=0)
        assert found[rows] == pytest.approx(DOMAIN[rows] - center, abs=1e-4)
        expected = similarity(DOMAIN[rows] - center, choose_members(DOMAIN[~rows] - center, np.asarray))
        for name, values in expected.items():
            assert similarities[name][rows] == pytest.approx(values, abs=1e-5)


def test_a_warning_of_few_people_is_given_once_for_all_folds(caplog):
    names = [f"{row}" for row in range(40)]
    both = Embeddings(names, DOMAIN[:40])
    with caplog.at_level(logging.WARNING, logger="avsv"):
        apply_by_fold(both, both, {name: str(int(name) % 8) for name in names}, learn_adaptation, 10)
    assert len(caplog.records) == 1 and "9 people" in caplog.text


def test_a_recording_without_a_fold_and_a_single_fold_are_refused():
    both = Embeddings(["a", "b", "c"], DOMAIN[:3])
    with pytest.raises(InputError, match=r"table.*c$"):
        apply_by_fold(both, both, {"a": "1", "b": "2"}, learn_adaptation, source="table")
    with pytest.raises(InputError, match="found 0"):
        apply_by_fold(both, both, dict.fromkeys("abc", "1"), learn_adaptation)


@pytest.mark.parametrize("method", ["center", "whiten", "coral"])
@pytest.mark.parametrize("text", [False, True])
def test_a_written_map_is_read_back(tmp_path, method, text):
    before = learn_adaptation(DOMAIN, method, SOURCE, model="voice:1")
    write_adaptation(tmp_path, before, text)
    after = read_adaptation(tmp_path)
    assert after.apply(DOMAIN) == pytest.approx(before.apply(DOMAIN), rel=1e-4, abs=1e-4)
    assert (after.method, after.model, after.share) == (method, "voice:1", before.share)


def test_a_map_without_a_matrix_removes_that_of_an_earlier_one(tmp_path):
    write_adaptation(tmp_path, learn_adaptation(DOMAIN, "whiten"))
    write_adaptation(tmp_path, learn_adaptation(DOMAIN))
    assert read_adaptation(tmp_path).projection.transform is None


@pytest.mark.parametrize("content", ["", "{}", '{"method": "other", "share": 1.0}', '{"method": "center"}'])
def test_a_damaged_record_is_refused(tmp_path, content):
    write_adaptation(tmp_path, learn_adaptation(DOMAIN))
    (tmp_path / "adaptation.json").write_text(content)
    with pytest.raises(InputError, match=r"adaptation\.json"):
        read_adaptation(tmp_path)


def test_a_folder_of_another_kind_is_refused(tmp_path):
    with pytest.raises(InputError, match=str(tmp_path)):
        read_adaptation(tmp_path)


def test_methods_that_lead_to_the_same_space_give_the_same_model_name(tmp_path):
    names = {method: learn_adaptation(DOMAIN, method, SOURCE, model="face:2").adapted_model
             for method in ("center", "coral", "whiten")}  # fmt: skip
    assert names == {"center": "face:2+centered", "coral": "face:2+centered", "whiten": "face:2+whitened"}
    assert learn_adaptation(DOMAIN).adapted_model is None


def test_a_clip_is_adapted_by_the_maps_of_its_encoders():
    values = {"face:2": 1, "voice:1": 2}
    maps = [Adaptation(Projection(np.full(2, value)), "center", model) for model, value in values.items()]
    clip = Clip({"voice": np.array([5.0, 5.0])}, {"face": "no face"}, {"voice": "voice:1", "face": "face:2"})
    adapted = adapt_clip(clip, maps)
    assert adapted.vectors["voice"].tolist() == [3, 3] and "face" not in adapted.vectors
    assert adapted.models == {"voice": "voice:1+centered", "face": "face:2+centered"}
    assert clip.models["voice"] == "voice:1"
    assert adapt_clip(clip, maps[:1]).vectors["voice"].tolist() == [5, 5]


def test_an_adapted_clip_has_the_similarities_of_its_modalities(tmp_path):
    write_adaptation(tmp_path, learn_adaptation(DOMAIN, model="voice:1"))
    clip = Clip({"voice": DOMAIN[7]}, {}, {"voice": "voice:1", "face": "face:1"}, {"voice": {"utt2snr": 9.0}})
    quality = adapt_clip(clip, [read_adaptation(tmp_path)]).quality
    expected = similarity((DOMAIN[7] - DOMAIN.mean(axis=0))[None], learn_adaptation(DOMAIN).members)
    assert quality == {"voice": {"utt2snr": 9.0, **{name: pytest.approx(one[0]) for name, one in expected.items()}}}


@pytest.mark.parametrize("models", [["voice:9"], [None], ["voice:1", "voice:1"]])
def test_a_map_of_another_encoder_or_given_twice_is_refused(models):
    clip = Clip({"voice": np.zeros(2)}, {}, {"voice": "voice:1"})
    with pytest.raises(InputError):
        adapt_clip(clip, [Adaptation(Projection(np.ones(2)), "center", model) for model in models])


def simulate(n_people, rng, offset):
    """Embeddings of n people, 4 recordings each, in 64 dimensions, all shifted by the domain's offset."""
    speakers = np.repeat(np.arange(n_people), 4)
    vectors = rng.standard_normal((n_people, 64))[speakers] + 1.2 * rng.standard_normal((len(speakers), 64)) + offset
    return vectors.astype(np.float32), speakers


def equal_error(vectors, speakers):
    unit = unit_length(vectors)
    one, other = np.triu_indices(len(unit), 1)
    return eer((unit @ unit.T)[one, other], speakers[one] == speakers[other])


def test_many_people_help_and_two_harm_only_without_a_source():
    """In a domain with an offset, tested on people who are not those that it was learnt from."""
    rng = np.random.default_rng(0)
    offset = rng.standard_normal(64) * 0.6
    source, _ = simulate(300, rng, 0)
    errors = {}
    for _ in range(10):
        test, speakers = simulate(40, rng, offset)
        for people in (1, 2, 60):
            domain, _ = simulate(people, rng, offset)
            for name, of in (("alone", None), ("source", source)):
                adapted = learn_adaptation(domain, source=of, people=people).apply(test)
                errors.setdefault((people, name), []).append(equal_error(adapted, speakers))
        errors.setdefault("raw", []).append(equal_error(test, speakers))
    mean = {name: np.mean(values) for name, values in errors.items()}
    assert mean[60, "source"] < 0.9 * mean["raw"] and mean[60, "alone"] < 0.9 * mean["raw"]
    assert mean[1, "alone"] > mean["raw"]
    assert max(mean[1, "source"], mean[2, "source"]) < 1.02 * mean["raw"]


def test_the_record_is_plain_json(tmp_path):
    write_adaptation(tmp_path, learn_adaptation(DOMAIN, source=SOURCE, people=16))
    assert json.loads((tmp_path / "adaptation.json").read_text()) == {"method": "center", "share": 0.5}
