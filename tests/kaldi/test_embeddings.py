"""Embedding archives: bytes as Kaldi writes them, and errors that name the damage."""

import kaldiio
import numpy as np
import pytest

from avsv.errors import InputError
from avsv.jobs.provenance import refuse_stale
from avsv.kaldi import embeddings as module
from avsv.kaldi.embeddings import MissingArchive, read_embeddings, write_embeddings

VECTORS = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
NAMES = ["e", "a", "c", "b", "d"]


@pytest.fixture
def scp(tmp_path):
    write_embeddings(tmp_path / "x.ark", tmp_path / "x.scp", NAMES, VECTORS)
    return tmp_path / "x.scp"


def test_bytes_agree_with_kaldiio(scp, tmp_path):
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/k.ark,{tmp_path}/k.scp") as writer:
        for name, vector in zip(NAMES, VECTORS):
            writer[name] = vector
    assert (tmp_path / "k.ark").read_bytes() == (tmp_path / "x.ark").read_bytes()
    lines = sorted((tmp_path / "k.scp").read_text().replace("k.ark", "x.ark").splitlines())
    assert scp.read_text().splitlines() == lines


def test_kaldiio_reads_it(scp):
    again = kaldiio.load_scp(str(scp))
    assert all(np.array_equal(again[name], vector) for name, vector in zip(NAMES, VECTORS))


def test_what_is_written_with_its_model_is_no_output_of_an_earlier_version(tmp_path):
    write_embeddings(tmp_path / "e.ark", tmp_path / "e.scp", ["a", "b"], np.eye(2), model="pair:1")
    refuse_stale(tmp_path / "e.scp")


def test_only_sets_the_order_and_omits_unknown_names(scp):
    found = read_embeddings(scp, only=["b", "x", "e"])
    assert found.ids == ["b", "e"]
    assert np.array_equal(found.vectors, VECTORS[[3, 0]])


def test_doubles_and_matrices_of_one_row_are_read_among_vectors(tmp_path):
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/k.ark,{tmp_path}/k.scp") as writer:
        writer["a"], writer["b"], writer["c"] = VECTORS[0], VECTORS[1].astype(np.float64), VECTORS[2:3]
        writer["d"] = VECTORS[3]
    assert np.array_equal(read_embeddings(tmp_path / "k.scp").vectors, VECTORS[:4])


@pytest.mark.parametrize("method", [2, 3, 5], ids=["CM", "CM2", "CM3"])
def test_compressed_matrices_of_one_row_are_read_among_vectors(tmp_path, method):
    ark, scp = f"{tmp_path}/k.ark", f"{tmp_path}/k.scp"
    kaldiio.save_ark(ark, dict(zip(NAMES[:3], VECTORS[:3, None])), scp, compression_method=method)
    kaldiio.save_ark(ark, dict(zip(NAMES[3:], VECTORS[3:])), scp, append=True)
    found = read_embeddings(tmp_path / "k.scp")
    expected = kaldiio.load_scp(str(tmp_path / "k.scp"))
    assert found.vectors == pytest.approx(np.stack([expected[name].reshape(-1) for name in found.ids]), abs=1e-6)


def test_text_archives_are_read(tmp_path):
    with kaldiio.WriteHelper(f"ark,t,scp:{tmp_path}/k.ark,{tmp_path}/k.scp") as writer:
        writer["a"], writer["b"] = VECTORS[0], VECTORS[1:2]
    assert read_embeddings(tmp_path / "k.scp").vectors == pytest.approx(VECTORS[:2], rel=1e-6)


def test_a_place_without_a_vector_is_named(tmp_path, scp):
    scp.write_text(f"a {tmp_path}/x.ark:0\n")
    with pytest.raises(InputError, match=r"x.scp: a: .*x.ark:0"):
        read_embeddings(scp)


def test_merged_scp_points_to_several_archives(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "RECORDS", 2)
    for job in (1, 2):
        part = slice(0, 3) if job == 1 else slice(3, 5)
        write_embeddings(tmp_path / f"x.{job}.ark", tmp_path / f"x.{job}.scp", NAMES[part], VECTORS[part])
    lines = [line for job in (1, 2) for line in (tmp_path / f"x.{job}.scp").read_text().splitlines()]
    (tmp_path / "x.scp").write_text("\n".join(sorted(lines)) + "\n")
    found = read_embeddings(tmp_path / "x.scp")
    assert found.ids == sorted(NAMES)
    assert np.array_equal(found.vectors, VECTORS[np.argsort(NAMES)])


def test_paths_with_spaces_are_read(tmp_path):
    folder = tmp_path / "my exp"
    write_embeddings(folder / "x.ark", folder / "x.scp", NAMES, VECTORS)
    assert len(read_embeddings(folder / "x.scp")) == 5


def test_archive_cut_short_names_the_utterance(scp, tmp_path):
    whole = (tmp_path / "x.ark").read_bytes()
    (tmp_path / "x.ark").write_bytes(whole[:-3])
    with pytest.raises(InputError, match=r"x.scp: d: .*x.ark:\d+"):
        read_embeddings(scp)
    (tmp_path / "x.ark").write_bytes(whole[:-26])
    with pytest.raises(InputError, match=r"x.scp: d: .*x.ark:\d+"):
        read_embeddings(scp)
    (tmp_path / "x.ark").write_bytes(b"")
    with pytest.raises(InputError, match=r"x.scp: a: .*x.ark"):
        read_embeddings(scp)
    (tmp_path / "x.ark").unlink()
    with pytest.raises(MissingArchive, match=r"x.scp: a: .*x.ark"):
        read_embeddings(scp)


def test_differing_sizes_are_refused(tmp_path):
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/k.ark,{tmp_path}/k.scp") as writer:
        writer["a"], writer["b"] = VECTORS[0], VECTORS[1, :3]
    with pytest.raises(InputError, match=r"k.scp: .*b has 3 values, a has 4"):
        read_embeddings(tmp_path / "k.scp")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(tmp_path, value):
    bad = VECTORS.copy()
    bad[2, 1] = value
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/x.ark,{tmp_path}/x.scp") as writer:
        for name, vector in zip(NAMES, bad, strict=True):
            writer[name] = vector
    with pytest.raises(InputError, match=r"x.scp: c: .*NaN"):
        read_embeddings(tmp_path / "x.scp")


def test_a_matrix_is_not_an_embedding(tmp_path):
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/k.ark,{tmp_path}/k.scp") as writer:
        writer["a"] = VECTORS
    with pytest.raises(InputError, match=r"k.scp: a: .*matrix of 5 rows"):
        read_embeddings(tmp_path / "k.scp")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a copy-vector x.ark - |", "line 1: .*commands are not run"),
        ("a", 'line 1: .*"a"'),
        ("a /absent/x.vec", "x.scp: a: .*/absent/x.vec"),
        ("a x.ark:1[2:1]", "line 1: expected"),
        ("a x.ark:1[1:2:3]", "line 1: expected"),
        ("a x.ark:1[1:2,3:4,5:6]", "line 1: expected"),
        ("a |x.ark", "line 1: expected"),
        ("a -", "line 1: expected"),
        ("a x.ark:1\na x.ark:2", 'line 2: "a"'),
    ],
)
def test_wrong_scp_lines_are_refused(tmp_path, line, message):
    (tmp_path / "x.scp").write_text(line + "\n")
    with pytest.raises(InputError, match=message):
        read_embeddings(tmp_path / "x.scp")


def test_an_archive_is_refused_as_an_scp(scp, tmp_path):
    with pytest.raises(InputError, match="is not a text file"):
        read_embeddings(tmp_path / "x.ark")
    with pytest.raises(InputError, match="no such file"):
        read_embeddings(tmp_path / "nowhere")


def test_a_path_matches_its_utterance(tmp_path):
    write_embeddings(tmp_path / "e.ark", tmp_path / "e.scp", ["id1-v-1", "b.wav"], np.eye(2))
    found = read_embeddings(tmp_path / "e.scp", ["b.wav", "id1/v/1.wav", "id1/v/2.wav"])
    assert found.ids == ["b.wav", "id1/v/1.wav"]
    assert found.vectors.tolist() == [[0, 1], [1, 0]]


def test_an_scp_may_name_files_without_offsets_and_ranges(tmp_path):
    rng = np.random.default_rng(5)
    matrix, vector = rng.normal(size=(6, 4)).astype("f4"), rng.normal(size=4).astype("f4")
    kaldiio.save_mat(str(tmp_path / "my one.vec"), vector)
    kaldiio.save_mat(str(tmp_path / "12:30.mat"), matrix[:1])
    kaldiio.save_ark(str(tmp_path / "m.ark"), {"m": matrix})
    kaldiio.save_ark(str(tmp_path / "v.ark"), {"v": np.append(vector, vector)})
    lines = {
        "a": ("my one.vec", vector),
        "b": ("12:30.mat", matrix[0]),
        "c": ("m.ark:2[3:3]", matrix[3]),
        "d": ("v.ark:2[4:7]", vector),
        "e": ("12:30.mat[0:0,:]", matrix[0]),
        "f": ("12:30.mat[:,0:3]", matrix[0]),
        "g": ("m.ark:2[5:5,0:3]", matrix[5]),
        "h": ("m.ark:2[5:8]", matrix[5]),  # Kaldi takes ends that are up to 3 rows too late
        "i": ("my one.vec[]", vector),
    }
    (tmp_path / "x.scp").write_text("".join(f"{name} {tmp_path}/{place}\n" for name, (place, _) in lines.items()))
    found = read_embeddings(tmp_path / "x.scp")
    assert found.ids == list(lines)
    np.testing.assert_array_equal(found.vectors, np.stack([expected for _, expected in lines.values()]))
    some = read_embeddings(tmp_path / "x.scp", only=["g", "a", "c"])
    np.testing.assert_array_equal(some.vectors, np.stack([matrix[5], vector, matrix[3]]))


@pytest.mark.parametrize("place", ["m.ark:2[6:6]", "m.ark:2[5:9]", "m.ark:2[0:0,0:4]", "m.ark:2[0:1]", "v.vec[0:4]",
                                   "v.vec[0:0,0:0]", "m.ark[0:0]"])  # fmt: skip
def test_ranges_outside_the_vector_name_the_utterance(tmp_path, place):
    kaldiio.save_ark(str(tmp_path / "m.ark"), {"m": np.ones((6, 4), "f4")})
    kaldiio.save_mat(str(tmp_path / "v.vec"), np.ones(4, "f4"))
    (tmp_path / "x.scp").write_text(f"a {tmp_path}/{place}\n")
    with pytest.raises(InputError, match=r"x\.scp: a: "):
        read_embeddings(tmp_path / "x.scp")
