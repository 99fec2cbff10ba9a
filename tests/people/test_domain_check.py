"""The domain check: silent within one domain, and a warning for each kind of difference."""

import numpy as np
import pytest

from avsv.errors import InputError
from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.tables import write_table
from avsv.people.domain_check import Domain, chance_of_means, compare_domains, rate_here


def recordings(rng, n_people, shift=0.0, alike=0.0, each=6, d=40):
    """Embeddings of people, around a common offset (`shift`) or in fewer directions (`alike`); their people."""
    directions = np.where(np.arange(d) < d // 5, 1.0, 1.0 - alike)
    means = directions * rng.standard_normal((n_people, d)) + shift * np.ones(d) / np.sqrt(d)
    people = np.repeat(np.arange(n_people), each)
    return (means[people] + 0.5 * rng.standard_normal((len(people), d))).astype(np.float32), [f"p{p}" for p in people]


@pytest.fixture
def folder(tmp_path):
    """Write a set: folder(name, vectors, people, model, **tables) -> its scp."""

    def write(name, vectors, people, model="voice:1", **tables):
        ids = [f"{name}-{person}-{number}" for number, person in enumerate(people)]
        write_embeddings(tmp_path / name / "embedding.ark", tmp_path / name / "embedding.scp", ids, vectors, model)
        for table, values in tables.items():
            write_table(tmp_path / name / table, {one: f"{value:.6g}" for one, value in zip(ids, values, strict=True)})
        return tmp_path / name / "embedding.scp"

    return write


def utt2spk_of(scp):
    names = [line.split()[0] for line in scp.read_text().splitlines()]
    return {name: name.split("-")[1] for name in names}


def test_other_people_of_one_domain_give_no_warning(folder):
    rng = np.random.default_rng(0)
    training = folder("train", *recordings(rng, 60), utt2snr=rng.normal(20, 5, 360))
    for number in range(5):
        own = folder(f"own{number}", *recordings(rng, 12), utt2snr=rng.normal(20, 5, 72))
        assert compare_domains(own, training, utt2spk_of(own)) == []
        assert compare_domains(own, training) == []  # people unknown


def test_another_mean_is_warned_of(folder):
    rng = np.random.default_rng(0)
    training, own = folder("train", *recordings(rng, 60)), folder("own", *recordings(rng, 12, shift=3.0))
    assert any("mean" in warning and str(own) in warning for warning in compare_domains(own, training))


def test_people_who_are_more_alike_are_warned_of_with_the_rate(folder):
    rng = np.random.default_rng(0)
    training, own = folder("train", *recordings(rng, 60)), folder("own", *recordings(rng, 30, shift=4.0))
    vectors = [Domain.of(*recordings(np.random.default_rng(seed), 60, shift)) for seed, shift in ((5, 4.0), (6, 0.0))]
    rate, errors = rate_here(*vectors)
    threshold = np.quantile(different(vectors[1]), 0.99)
    assert rate == pytest.approx(np.mean(different(vectors[0]) > threshold), abs=0.05) and errors > 3
    assert any("1 %" in warning for warning in compare_domains(own, training, utt2spk_of(own)))


def different(domain):
    return (domain.vectors @ domain.vectors.T)[domain.groups[:, None] < domain.groups]


def test_other_quality_is_warned_of_in_its_direction(folder):
    rng = np.random.default_rng(0)
    training = folder("train", *recordings(rng, 60), utt2snr=rng.normal(20, 5, 360), utt2dur=rng.normal(9, 1, 360))
    own = folder("own", *recordings(rng, 12), utt2snr=rng.normal(2, 5, 72), utt2dur=rng.normal(9, 1, 72))
    (warning,) = compare_domains(own, training, utt2spk_of(own))
    assert "utt2snr" in warning and "below" in warning


def test_the_permutation_test_of_the_means_is_uniform_without_a_difference():
    rng = np.random.default_rng(1)
    chances = [chance_of_means(*(Domain.of(*recordings(rng, n)) for n in (10, 20))) for _ in range(60)]
    assert 0.35 < np.mean(chances) < 0.65 and np.mean(np.array(chances) <= 0.1) < 0.25


def test_sets_that_cannot_be_compared_are_refused(folder):
    rng = np.random.default_rng(0)
    training = folder("train", *recordings(rng, 20))
    with pytest.raises(InputError, match="voice:2"):
        compare_domains(folder("other", *recordings(rng, 20), model="voice:2"), training)
    small = folder("small", *recordings(rng, 3, each=2))
    with pytest.raises(InputError, match="small"):
        compare_domains(small, training)
    one = folder("one", *recordings(rng, 1, each=20))
    with pytest.raises(InputError, match="one"):
        compare_domains(one, training, utt2spk_of(one))


def test_real_voices_of_one_style_agree_and_of_another_differ(real_data):
    """ECAPA embeddings of read and of conversational speech, of 20 and of 45 people."""
    arrays = np.load(real_data / "nsc" / "embeddings.npz")
    keys = np.array([str(key) for key in arrays["keys"]])
    people = np.array([key.split("_")[0] for key in keys])

    def domain(style, some):
        names = sorted({person for person in people if person.startswith(f"nsc{style}/")})[some]
        rows = np.flatnonzero(np.isin(people, names))
        return Domain.of(arrays["ecapa"][rows], people[rows])

    first, last = slice(None, 20), slice(-45, None)
    assert chance_of_means(domain(1, first), domain(1, last)) > 0.01
    assert chance_of_means(domain(3, first), domain(1, last)) <= 0.01
