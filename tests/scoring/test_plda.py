"""PLDA: scores compared with full Gaussians, files with Kaldi's formats."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from avsv.errors import InputError
from avsv.kaldi.embeddings import Embeddings
from avsv.kaldi.matrices import encode, write_array
from avsv.scoring.backend import both_sides, make_backend
from avsv.scoring.plda import Gaussians, Plda, Ratio, diagonalise, fixed_length, plda_llr
from avsv.scoring.plda_files import read_gaussians, read_plda, write_gaussians, write_plda
from avsv.scoring.plda_training import train_plda
from avsv.scoring.projection import Projection
from avsv.scoring.trial_embeddings import Models, TrialEmbeddings
from tests.scoring.two_covariance import covariance, draw

RNG = np.random.default_rng(0)
ROOT = Path(__file__).resolve().parents[2]


def test_ratio_matches_full_gaussians():
    d = 4
    mean, between, within = RNG.standard_normal(d), covariance(d, 1), covariance(d, 2)
    enroll, test = RNG.standard_normal((3, d)), RNG.standard_normal((2, d))
    total = between + within
    same = np.block([[total, between], [between, total]])
    expected = [
        [
            multivariate_normal(np.tile(mean, 2), same).logpdf(np.concatenate([x, y]))
            - multivariate_normal(mean, total).logpdf(x)
            - multivariate_normal(mean, total).logpdf(y)
            for y in test
        ]
        for x in enroll
    ]
    basis, psi, _ = diagonalise(within, between)
    assert plda_llr((enroll - mean) @ basis.T, (test - mean) @ basis.T, psi) == pytest.approx(np.array(expected))


@pytest.mark.parametrize("n", [1, 2, 5])
def test_ratio_given_several_enrolment_recordings_matches_their_joint_gaussian(n):
    d = 3
    mean, between, within = RNG.standard_normal(d), covariance(d, 1), covariance(d, 2)
    enroll, test = RNG.standard_normal((n, d)), RNG.standard_normal(d)

    def of_one_speaker(*vectors):
        k = len(vectors)
        cov = np.kron(np.ones((k, k)), between) + np.kron(np.eye(k), within)
        return multivariate_normal(np.tile(mean, k), cov).logpdf(np.concatenate(vectors))

    expected = of_one_speaker(*enroll, test) - of_one_speaker(*enroll) - of_one_speaker(test)
    basis, psi, _ = diagonalise(within, between)
    vectors = (np.vstack([enroll, test]) - mean) @ basis.T
    assert plda_llr(vectors[:-1].mean(axis=0)[None], vectors[-1:], psi, n) == pytest.approx(np.array([[expected]]))


def plda_without_projection(psi):
    d = len(psi)
    return Plda(Projection(np.zeros(d), np.eye(d)), Gaussians(np.zeros(d), np.eye(d), psi))


def test_inner_products_are_the_ratios_for_speakers_with_different_numbers_of_recordings():
    psi = np.array([4.0, 2, 1, 0.1, 0])
    vectors, counts = fixed_length(RNG.standard_normal((6, 5))), np.array([3, 1, 7])
    backend = Ratio(plda_without_projection(psi)).for_counts(counts)
    left, right = backend(Embeddings(list("abcdef"), vectors.astype(np.float32)))
    assert backend.counts == (1, 3, 7)
    assert left @ right.T == pytest.approx(plda_llr(vectors, vectors, psi), rel=1e-4, abs=1e-4)
    enrolled = backend.enroll(right[:3], counts)
    expected = np.concatenate([plda_llr(vectors[[row]], vectors, psi, n) for row, n in enumerate(counts)])
    assert enrolled @ right.T == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_inner_products_are_the_ratios():
    projected, psi = RNG.standard_normal((6, 5)) * 3, np.array([4.0, 2, 1, 0.1, 0])
    plda = plda_without_projection(psi)
    vectors = fixed_length(projected)
    left, right = Ratio(plda)(Embeddings(list("abcdef"), vectors.astype(np.float32)))
    assert left @ right.T == pytest.approx(plda_llr(vectors, vectors, psi), rel=1e-4, abs=1e-4)


SPEECHBRAIN = """
import sys, numpy as np
from avsv.models.speechbrain_library import import_speechbrain
import_speechbrain()
from speechbrain.processing.PLDA_LDA import Ndx, StatObject_SB, fast_PLDA_scoring

def server(vectors, letter):
    names = np.array([f"{letter}{n}" for n in range(len(vectors))], object)
    zeros = np.zeros(len(names), int)
    return StatObject_SB(names, names, zeros, zeros, np.ones((len(names), 1)), vectors)

data = np.load(sys.argv[1])
enroll, test = server(data["x"], "e"), server(data["y"], "t")
trials = Ndx(models=np.repeat(enroll.modelset, len(test.segset)), testsegs=np.tile(test.segset, len(enroll.modelset)))
scores = fast_PLDA_scoring(enroll, test, trials, data["mean"], np.linalg.cholesky(data["between"]), data["within"])
np.save(sys.argv[2], scores.scoremat)
"""


def test_ratio_matches_speechbrain(tmp_path):
    """Runs in a separate process, because speechbrain's lazy modules conflict with hypothesis."""
    d = 4
    mean, between, within = RNG.standard_normal(d), covariance(d, 1), covariance(d, 2)
    x, y = RNG.standard_normal((3, d)), RNG.standard_normal((2, d))
    np.savez(tmp_path / "in.npz", x=x, y=y, mean=mean, between=between, within=within)
    argv = [sys.executable, "-c", SPEECHBRAIN, tmp_path / "in.npz", tmp_path / "out.npy"]
    subprocess.run(argv, check=True, capture_output=True, cwd=ROOT)
    basis, psi, _ = diagonalise(within, between)
    ours = plda_llr((x - mean) @ basis.T, (y - mean) @ basis.T, psi)
    assert np.load(tmp_path / "out.npy") == pytest.approx(ours, rel=1e-4, abs=1e-4)


def test_embeddings_of_another_size_are_refused():
    speakers, vectors = draw(np.eye(5), np.eye(5), [3] * 10, np.random.default_rng(3))
    with pytest.raises(InputError, match="5 values, found 4"):
        Ratio(train_plda(vectors, speakers)[0])(Embeddings(["a"], np.ones((1, 4), np.float32)))


def test_a_zero_embedding_has_a_finite_ratio():
    speakers, vectors = draw(np.eye(5), np.eye(5), [3] * 10, np.random.default_rng(3))
    left, right = Ratio(train_plda(vectors, speakers)[0])(
        Embeddings(["a", "b"], np.eye(2, 5, 1, np.float32) * [[0], [1]])
    )
    assert np.isfinite(left @ right.T).all()


def test_no_embeddings_give_empty_sides():
    left, right = Ratio(plda_without_projection(np.ones(2)))(Embeddings([], np.empty((0, 0), np.float32)))
    assert left.shape == right.shape == (0, 4)


@pytest.fixture
def plda():
    speakers, vectors = draw(covariance(6, 1), covariance(6, 2), [5] * 30, np.random.default_rng(4))
    return train_plda(vectors, speakers, 4)[0], vectors


def test_a_written_model_projects_like_the_original(plda, tmp_path):
    model, vectors = plda
    write_plda(tmp_path, model)
    assert read_plda(tmp_path).project(vectors) == pytest.approx(model.project(vectors), abs=1e-4)


def test_the_plda_file_has_kaldis_bytes_and_is_read_back(plda, tmp_path):
    model = plda[0].gaussians
    write_gaussians(tmp_path / "plda", model)
    data = (tmp_path / "plda").read_bytes()
    assert data.startswith(b"\0B<Plda> DV \x04\x04\x00\x00\x00" + model.mean.tobytes() + b"DM \x04\x04\x00\x00\x00\x04")
    assert data.endswith(model.psi.tobytes() + b"</Plda> ")
    write_gaussians(tmp_path / "again", read_gaussians(tmp_path / "plda"))
    assert (tmp_path / "again").read_bytes() == data


def test_kaldis_text_format_is_read(tmp_path):
    (tmp_path / "plda").write_text("<Plda>  [ 1 2 ]\n [\n  1 0 \n  0 2 ]\n [ 3 0.5 ]\n</Plda> ")
    model = read_gaussians(tmp_path / "plda")
    assert model.mean.tolist() == [1, 2]
    assert model.transform.tolist() == [[1, 0], [0, 2]]
    assert model.psi.tolist() == [3, 0.5]


def test_the_text_format_is_kaldis_and_is_read_back(tmp_path):
    model = Gaussians(np.array([1, -0.25]), np.array([[1, 0], [1 / 3, 2e-9]]), np.array([3, 0.5]))
    write_gaussians(tmp_path / "plda", model, text=True)
    expected = "<Plda>  [ 1 -0.25 ]\n [\n  1 0 \n  0.3333333 2e-09 ]\n [ 3 0.5 ]\n</Plda> "
    assert (tmp_path / "plda").read_text() == expected
    read = read_gaussians(tmp_path / "plda")
    assert read.transform == pytest.approx(model.transform, abs=1e-7)


def test_a_model_in_text_format_projects_like_the_original(plda, tmp_path):
    model, vectors = plda
    write_plda(tmp_path, model, text=True)
    assert (tmp_path / "mean.vec").read_text().startswith(" [ ")
    assert read_plda(tmp_path).project(vectors) == pytest.approx(model.project(vectors), abs=1e-4)


@pytest.mark.parametrize("psi", [[1.0, -0.1], [np.nan, 1.0]])
def test_impossible_variances_are_refused(tmp_path, psi):
    model = Gaussians(np.zeros(2), np.eye(2), np.array(psi))
    with pytest.raises(InputError, match="plda"):
        write_gaussians(tmp_path / "plda", model)
    assert not (tmp_path / "plda").exists()
    parts = b"".join(encode(part.astype("<f8")) for part in (model.mean, model.transform, model.psi))
    (tmp_path / "plda").write_bytes(b"\0B<Plda> " + parts + b"</Plda> ")
    with pytest.raises(InputError, match="plda"):
        read_gaussians(tmp_path / "plda")


def test_the_offset_column_of_kaldis_lda_is_applied(tmp_path):
    reduce, offset, center = RNG.standard_normal((2, 3)), RNG.standard_normal(2), RNG.standard_normal(3)
    write_plda(tmp_path, Plda(Projection(center, reduce), Gaussians(np.zeros(2), np.eye(2), np.ones(2))))
    write_array(tmp_path / "transform.mat", np.column_stack([reduce, offset]).astype("<f4"))
    projection = read_plda(tmp_path).projection
    x = RNG.standard_normal(3)
    assert projection.transform @ (x - projection.center) == pytest.approx(reduce @ (x - center) + offset, abs=1e-5)


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-30], lambda d: b"", lambda d: b"\0Bxx", lambda d: d[:-8] + b"</Plxx> "]
)
def test_damaged_files_are_named(plda, tmp_path, damage):
    write_plda(tmp_path, plda[0])
    data = (tmp_path / "plda").read_bytes()
    (tmp_path / "plda").write_bytes(damage(data))
    with pytest.raises(InputError, match="plda: "):
        read_plda(tmp_path)


def test_absent_files_and_files_of_other_sizes_are_named(plda, tmp_path):
    write_plda(tmp_path, plda[0])
    write_array(tmp_path / "mean.vec", np.ones(3, "<f4"))
    with pytest.raises(InputError, match=r"mean\.vec has 3 .*transform\.mat .* 6"):
        read_plda(tmp_path)
    write_plda(tmp_path, plda[0])
    write_array(tmp_path / "transform.mat", np.ones((3, 6), "<f4"))
    with pytest.raises(InputError, match=r"transform\.mat .* 3 .* 4"):
        read_plda(tmp_path)
    (tmp_path / "transform.mat").unlink()
    with pytest.raises(InputError, match=r"transform\.mat"):
        read_plda(tmp_path)


def kaldi_score(model, enroll, test, n, normalize_length, simple_length_norm):
    """Kaldi's Plda::TransformIvector, GetNormalizationFactor and LogLikelihoodRatio (plda.cc), line by line."""

    def transform_ivector(ivector, num_examples):
        transformed = model.transform @ ivector - model.transform @ model.mean
        if simple_length_norm:
            factor = np.sqrt(len(transformed)) / np.linalg.norm(transformed)
        else:
            inv_covar = [1 / (psi + 1 / num_examples) for psi in model.psi]
            factor = np.sqrt(len(transformed) / sum(v * y * y for v, y in zip(inv_covar, transformed)))
        return transformed * factor if normalize_length else transformed

    train, test = transform_ivector(enroll, n), transform_ivector(test, 1)
    given = without = 0.0
    for psi, u, v in zip(model.psi, train, test, strict=True):
        mean, variance = n * psi / (n * psi + 1) * u, 1 + psi / (n * psi + 1)
        given += -0.5 * (np.log(variance) + np.log(2 * np.pi) + (v - mean) ** 2 / variance)
        without += -0.5 * (np.log(1 + psi) + np.log(2 * np.pi) + v**2 / (1 + psi))
    return given - without


def kaldi_length(vector, length):
    """ivector-normalize-length for "sqrt-dim", with --scaleup=false for "one"; no scaling for "as-is"."""
    scale = {"sqrt-dim": np.sqrt(len(vector)), "one": 1.0}.get(length)
    return vector if scale is None else vector * scale / np.linalg.norm(vector)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("length", ["sqrt-dim", "one", "as-is"])
@pytest.mark.parametrize("normalization", ["none", "model", "simple"])
@pytest.mark.parametrize("files", ["mean transform", "mean", "transform", "offset", "mean offset", "", "bare"])
def test_scores_match_kaldis_programs(tmp_path, files, normalization, length, text):
    """subtract-global-mean | transform-vec | normalize-length | plda-scoring, with any of the files absent."""
    rng = np.random.default_rng(3)
    d, size = 3, (5 if "transform" in files or "offset" in files else 3)
    model = Gaussians(rng.standard_normal(d), rng.standard_normal((d, d)), np.array([4.0, 1.0, 0.2]))
    write_gaussians(tmp_path / "plda", model, text)
    mean, matrix, offset = rng.standard_normal(size), rng.standard_normal((d, size)), rng.standard_normal(d)
    if "mean" in files:
        write_array(tmp_path / "mean.vec", mean.astype("<f4"), text)
    if size == 5:
        whole = matrix if "transform" in files else np.column_stack([matrix, offset])
        write_array(tmp_path / "transform.mat", whole.astype("<f4"), text)
    vectors = rng.standard_normal((5, size)).astype(np.float32)

    def prepared(vector):
        vector = vector - mean if "mean" in files else vector
        vector = matrix @ vector + (offset if "offset" in files else 0) if size == 5 else vector
        return kaldi_length(vector, length)

    ivectors = np.array([prepared(vector.astype(np.float64)) for vector in vectors])
    backend = make_backend(
        "plda", tmp_path / "plda" if files == "bare" else tmp_path, None, None, length, normalization
    )
    options = normalization != "none", normalization == "simple"
    left, right = backend(Embeddings(list("abcde"), vectors))
    expected = [[kaldi_score(model, a, b, 1, *options) for b in ivectors] for a in ivectors]
    assert left @ right.T == pytest.approx(np.array(expected), rel=2e-4, abs=2e-3)
    models = Models(["m"], np.array([0, 1, 2]), np.array([3]), [], 0)
    pool = TrialEmbeddings(Embeddings(list("abcde"), vectors), np.array([[5, 3], [5, 4]]), models)
    left, right, _ = both_sides(backend, pool, "by-the-book")
    of_three = [kaldi_score(model, ivectors[:3].mean(axis=0), ivectors[test], 3, *options) for test in (3, 4)]
    assert left[5] @ right[[3, 4]].T == pytest.approx(np.array(of_three), rel=2e-4, abs=2e-3)


def test_a_bare_plda_file_for_vectors_of_another_size_is_refused(tmp_path):
    write_gaussians(tmp_path / "plda", Gaussians(np.zeros(2), np.eye(2), np.ones(2)))
    with pytest.raises(InputError, match="2 values, found 3"):
        make_backend("plda", tmp_path / "plda")(Embeddings(["a"], np.ones((1, 3), np.float32)))


def test_files_that_are_not_applied_give_a_warning(plda, tmp_path, caplog):
    write_plda(tmp_path, plda[0])
    read_plda(tmp_path)
    assert not caplog.records
    read_plda(tmp_path / "plda")
    assert "mean.vec" in caplog.text


@pytest.mark.parametrize("transform", [np.zeros((2, 2)), np.ones((2, 2)), np.diag([1, np.nan]), np.diag([np.inf, 1])])
def test_a_degenerate_model_is_neither_written_nor_read(tmp_path, transform):
    model = Gaussians(np.zeros(2), transform.astype("<f8"), np.ones(2))
    with pytest.raises(InputError, match="plda: "):
        write_gaussians(tmp_path / "plda", model)
    parts = b"".join(encode(part.astype("<f8")) for part in (model.mean, model.transform, model.psi))
    (tmp_path / "plda").write_bytes(b"\0B<Plda> " + parts + b"</Plda> ")
    with pytest.raises(InputError, match="plda"):
        read_plda(tmp_path)


@given(st.binary(max_size=120), st.booleans())
def test_arbitrary_bytes_are_refused(tmp_path_factory, data, headed):
    path = tmp_path_factory.mktemp("p") / "plda"
    path.write_bytes((b"\0B<Plda> DV " if headed else b"") + data)
    with pytest.raises(InputError):
        read_plda(path)
