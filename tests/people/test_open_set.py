"""Galleries, probe lists and systems of open-set identification."""

import json

import numpy as np
import pytest

from avsv.errors import InputError, OptionError
from avsv.evaluation.ranks import NOBODY
from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.scores import write_scores
from avsv.people.open_set import make_systems, measure_systems, read_open_set

GALLERY = "a a-1 a-2\nb b-1\nc c-1 c-2 c-3\n"
PROBES = "a-8 a\nb-8 b\nx-1 x\nx-2 x\ny-1 y\nc-8 c\n"
RECORDINGS = [word for line in (GALLERY + PROBES).splitlines() for word in line.split() if "-" in word]


@pytest.fixture
def lists(tmp_path):
    (tmp_path / "gallery").write_text(GALLERY)
    (tmp_path / "probes").write_text(PROBES)
    return read_open_set(tmp_path / "gallery", tmp_path / "probes")


@pytest.fixture
def scps(tmp_path):
    rng = np.random.default_rng(0)
    paths = {}
    for name in ("voice", "face"):
        paths[name] = tmp_path / f"{name}.scp"
        write_embeddings(tmp_path / f"{name}.ark", paths[name], RECORDINGS, rng.normal(size=(len(RECORDINGS), 6)))
    return paths


def without(scp, *names):
    scp.write_text("".join(f"{line}\n" for line in scp.read_text().splitlines() if line.split()[0] not in names))


def vectors_of(scp):
    from avsv.kaldi.embeddings import read_embeddings

    embeddings = read_embeddings(scp)
    return dict(zip(embeddings.ids, embeddings.vectors, strict=True))


def cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_a_probe_of_somebody_outside_the_gallery_is_a_stranger(lists):
    assert lists.persons.tolist() == [0, 1, NOBODY, NOBODY, NOBODY, 2]
    assert len(set(lists.people[2:5].tolist())) == 2
    assert len(lists.trials) == 18
    assert lists.trials.labels.sum() == 3


def test_voxblink2s_lists_are_read_unchanged(tmp_path):
    (tmp_path / "gallery").write_text("id1/v/1.wav 0\nid1/w/1.wav 0\nid2/v/1.wav 1\n")
    (tmp_path / "probe").write_text("id2/z/1.wav 1\nid1/z/1.wav 0\nid8/v/1.wav 2\nid9/v/1.wav 2\nid9/v/2.wav 2\n")
    lists = read_open_set(tmp_path / "gallery", tmp_path / "probe")
    assert list(lists.gallery.values()) == [["id1/v/1.wav", "id1/w/1.wav"], ["id2/v/1.wav"]]
    assert lists.persons.tolist() == [1, 0, NOBODY, NOBODY, NOBODY]
    assert lists.people[2] != lists.people[3] == lists.people[4]  # by the first folder


def test_one_label_of_all_strangers_is_not_one_person(tmp_path):
    (tmp_path / "gallery").write_text("u1 0\nu2 1\n")
    (tmp_path / "probe").write_text("p1 1\np2 2\np3 2\n")
    assert read_open_set(tmp_path / "gallery", tmp_path / "probe").people is None
    (tmp_path / "utt2spk").write_text("p2 m\np3 n\n")
    people = read_open_set(tmp_path / "gallery", tmp_path / "probe", tmp_path / "utt2spk").people
    assert len(set(people.tolist())) == 3


@pytest.mark.parametrize(("probes", "utt2spk", "named"), [
    ("a-1 a\n", None, "probes: a-1 .*gallery"),
    ("x-1 x\nx-2\n", None, "probes, line 2"),
    ("", None, "probes.*empty"),
    ("x-1 x\n", "y-1 y\n", 'utt2spk.*"x-1"'),
    ("x-1 x\n", "x-1 a\n", 'utt2spk.*"x-1".*"a"'),
])  # fmt: skip
def test_wrong_lists_are_refused(tmp_path, probes, utt2spk, named):
    (tmp_path / "gallery").write_text(GALLERY)
    (tmp_path / "probes").write_text(probes)
    (tmp_path / "utt2spk").write_text(utt2spk or "")
    with pytest.raises(InputError, match=named):
        read_open_set(tmp_path / "gallery", tmp_path / "probes", tmp_path / "utt2spk" if utt2spk else None)


def test_a_person_is_compared_by_the_mean_of_the_recordings(lists, scps):
    score = make_systems(lists, {"voice": str(scps["voice"])})["voice"].score
    vectors = vectors_of(scps["voice"])
    expected = [
        [
            cosine(vectors[probe], np.mean([vectors[one] for one in members], axis=0))
            for members in lists.gallery.values()
        ]
        for probe in lists.probes
    ]
    np.testing.assert_allclose(score(slice(0, 6)), expected, atol=1e-6)
    np.testing.assert_allclose(score(slice(2, 4)), expected[2:4], atol=1e-6)


def test_missing_recordings_stop_or_have_no_score(lists, scps):
    without(scps["voice"], "b-1", "x-1", "c-2")
    with pytest.raises(InputError, match=r"voice\.scp: 3 recordings .* b-1, c-2, x-1"):
        make_systems(lists, {"voice": str(scps["voice"])})
    scores = make_systems(lists, {"voice": str(scps["voice"])}, "rest")["voice"].score(slice(1, 4))
    assert np.isnan(scores).tolist() == [[False, True, False], [True] * 3, [False, True, False]]
    vectors = vectors_of(scps["voice"])
    expected = cosine(vectors["x-2"], (vectors["c-1"] + vectors["c-3"]) / 2)
    assert scores[2, 2] == pytest.approx(expected, abs=1e-6)


def write_model(path, trained_on=(None, None)):
    maps = [([True, True], [2.0, 3.0], -1.0), ([True, False], [4.0], -2.0), ([False, True], [5.0], -3.0)]
    maps = [dict(zip(("present", "weights", "offset"), one, strict=True)) for one in maps]
    names = {"systems": ["v", "f"], "target_prior": 0.01, "measures": [], "maps": maps, "trained_on": [*trained_on]}
    path.write_text(json.dumps(names))
    return str(path)


def test_a_fusion_judges_each_pair_by_the_systems_that_have_a_score(lists, scps, tmp_path):
    without(scps["voice"], "b-1", "x-1")
    without(scps["face"], "x-1", "y-1")
    given = {name: str(path) for name, path in scps.items()}
    given["both"] = f"{write_model(tmp_path / 'm.json')}:voice+face"
    systems = make_systems(lists, given, "rest")
    voice, face, both = (systems[name].score(slice(0, 6)) for name in given)
    expected = np.where(np.isnan(voice), np.where(np.isnan(face), 0, 5 * face - 3), 2 * voice + 3 * face - 1)
    expected = np.where(~np.isnan(voice) & np.isnan(face), 4 * voice - 2, expected)
    np.testing.assert_allclose(both, expected, atol=1e-6)
    assert (both[2] == 0).all()


def test_a_fusion_of_unknown_systems_or_of_another_number_is_refused(lists, scps, tmp_path):
    model = write_model(tmp_path / "m.json")
    with pytest.raises(OptionError, match="face"):
        make_systems(lists, {"voice": str(scps["voice"]), "both": f"{model}:voice+face"})
    with pytest.raises(InputError, match=r"m\.json.*2 systems"):
        make_systems(lists, {"voice": str(scps["voice"]), "both": f"{model}:voice"})


def test_scores_of_all_pairs_give_the_same_rates_as_the_embeddings(lists, scps, tmp_path):
    table = make_systems(lists, {"voice": str(scps["voice"])})["voice"].score(slice(0, 6))
    write_scores(tmp_path / "scores", lists.trials, table.ravel())
    systems = make_systems(lists, {"scp": str(scps["voice"]), "scores": str(tmp_path / "scores")})
    rows = measure_systems(lists, systems, far=[0.5])
    assert rows["scp"]["rank_percent"] == rows["scores"]["rank_percent"]
    assert rows["scp"]["dir_percent"] == rows["scores"]["dir_percent"]


def test_a_score_file_without_some_pairs_stops_or_has_no_score(lists, tmp_path):
    write_scores(tmp_path / "scores", lists.trials.take(np.arange(17)), np.arange(17.0))
    with pytest.raises(InputError, match="scores"):
        make_systems(lists, {"s": str(tmp_path / "scores")})
    table = make_systems(lists, {"s": str(tmp_path / "scores")}, "rest")["s"].score(slice(5, 6))
    assert np.isnan(table).tolist() == [[False, False, True]]


def test_tables_of_recordings_and_of_people_divide_the_known_probes(lists, scps, tmp_path):
    (tmp_path / "num_enroll").write_text("a 2\nb 1\nc 3\n")
    (tmp_path / "utt2modality").write_text("a-8 both\nb-8 voice\nc-8 both\n")
    systems = make_systems(lists, {"voice": str(scps["voice"])})
    rows = measure_systems(lists, systems, by=[tmp_path / "num_enroll", tmp_path / "utt2modality"])
    sizes = {path.rpartition("/")[2]: {label: row["n_known"] for label, row in of.items()}
             for path, of in rows["voice"]["subsets"].items()}  # fmt: skip
    assert sizes == {"num_enroll": {"1": 1, "2": 1, "3": 1}, "utt2modality": {"both": 2, "voice": 1}}
