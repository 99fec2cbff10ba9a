"""avsv association lists, evaluate and report, from data directory to page."""

import json

import numpy as np
import pytest

from avsv.kaldi.data_dir import read_data_dir, write_data_dir
from avsv.kaldi.embeddings import write_embeddings
from avsv.systems.association.lists import read_matching, read_verification


@pytest.fixture
def people(tmp_path):
    """12 people of two genders with three sessions of one clip each; voice and face embeddings share their traits."""
    rng, utts, voice, face = np.random.default_rng(0), {}, [], []
    for person in range(12):
        trait = np.array([3 * (-1) ** person, *rng.normal(size=3)])
        for session in range(3):
            utts[f"p{person:02d}-v{session}-1"] = f"p{person:02d}"
            voice.append(trait + 0.7 * rng.normal(size=4))
            face.append(trait + 0.7 * rng.normal(size=4))
    data = tmp_path / "data/unseen"
    write_data_dir(data, {"utt2spk": utts, "wav.scp": dict.fromkeys(utts, "no.wav"),
                          "video.scp": dict.fromkeys(utts, "no.mp4"), "utt2vid": {u: u[:-2] for u in utts},
                          "spk2gender": {spk: "mf"[int(spk[1:]) % 2] for spk in utts.values()}})  # fmt: skip
    for name, vectors in (("voice", voice), ("face", face)):
        write_embeddings(tmp_path / f"exp/sys/unseen/{name}.ark", tmp_path / f"exp/sys/unseen/{name}.scp", list(utts),
                         np.array(vectors))  # fmt: skip
    return tmp_path


@pytest.fixture
def lists(people, avsv):
    status, text = avsv("association", "lists", people / "data/unseen", people / "lists")
    assert status == 0 and "spk2nationality" in text and "spk2age" in text
    return people / "lists"


def associate(avsv, people, lists, *more):
    sides = [x for side in ("voice", "face") for x in (f"--{side}", people / f"exp/sys/unseen/{side}.scp")]
    out = people / "exp/sys/measures/unseen.json"
    status, text = avsv("association", "evaluate", "--lists", lists, *sides, "--resamples", "50", *more, out)
    return status, text, json.loads(out.read_text()) if status == 0 else None


def test_target_pairs_cross_sessions_and_nontarget_pairs_share_gender_in_group_g(lists, people):
    data = read_data_dir(people / "data/unseen")
    genders = data.table("spk2gender")
    trials = read_verification(lists / "verification/G")
    for number, label in enumerate(trials.labels):
        voice, face = trials[number]
        assert (data.utt2spk[voice] == data.utt2spk[face]) == label
        if label:
            assert voice[:-2] != face[:-2]
        else:
            assert genders[data.utt2spk[voice]] == genders[data.utt2spk[face]]


def test_a_matching_list_has_the_true_candidate_first_and_ten_people(lists, people):
    utt2spk = read_data_dir(people / "data/unseen").utt2spk
    matching = read_matching(lists / "matching/f2v_U")
    for query, row in zip(matching.queries, matching.candidates):
        of = [utt2spk[matching.candidate_ids[c]] for c in row]
        assert of[0] == utt2spk[matching.query_ids[query]] and len(set(of)) == 10


def test_the_same_seed_draws_the_same_lists(lists, people, avsv):
    avsv("association", "lists", people / "data/unseen", people / "again")
    avsv("association", "lists", "--seed", "1", people / "data/unseen", people / "other")
    name = "matching/v2f_U"
    assert (people / "again" / name).read_bytes() == (lists / name).read_bytes()
    assert (people / "other" / name).read_bytes() != (lists / name).read_bytes()


def test_every_list_is_measured_with_chance(avsv, people, lists):
    status, text, records = associate(avsv, people, lists, "--utt2spk", people / "data/unseen/utt2spk")
    assert status == 0, text
    names = {(r["protocol"], r["list"], r.get("candidates")) for r in records}
    assert names == {("verification", g, None) for g in "UG"} | {("matching", f"{w}_U", n) for w in ("v2f", "f2v")
            for n in range(2, 11)} | {("matching", f"{w}_G", 2) for w in ("v2f", "f2v")} | {
            ("retrieval", w, None) for w in ("v2f", "f2v")}  # fmt: skip
    found = {(r["protocol"], r["list"], r.get("candidates")): r for r in records}
    assert found["verification", "U", None]["eer_percent"] < 30
    accuracy = [found["matching", "v2f_U", n]["accuracy_percent"] for n in (2, 4, 10)]
    assert accuracy[0] > 75 and accuracy == sorted(accuracy, reverse=True)
    assert found["matching", "v2f_U", 10]["chance_percent"] == 10
    assert all(r["chance_percent"] < 51 for r in records)


def test_lists_in_the_published_layout_give_the_same_measures(avsv, people, lists):
    """Items are paths, with people's names for images and identifiers for audio, and there is no utt2spk."""
    utt2spk = ("--utt2spk", people / "data/unseen/utt2spk")
    ours = associate(avsv, people, lists, *utt2spk)[2]
    published = people / "published"
    for folder in ("veriflist", "matching", "retrieval"):
        (published / folder).mkdir(parents=True)
    audio = lambda utt: utt.replace("-", "/") + ".wav"  # noqa: E731
    face = lambda utt: f"Name_{utt[:3]}/1.6/" + utt[4:].replace("-", "/") + ".jpg"  # noqa: E731
    trials = read_verification(lists / "verification/U")
    lines = ["id,voice-speaker-id,face-speaker-id,label,voice-path,face-path"]
    for number, label in enumerate(trials.labels):
        voice, other = trials[number]
        lines.append(f"{number + 1},{voice[:3]},{other[:3]},{int(label)},{audio(voice)},{face(other)}")
    (published / "veriflist/veriflist_test_U.txt").write_text("\n".join(lines) + "\n")
    for way, query, candidate in (("v2f", audio, face), ("f2v", face, audio)):
        names = [line.split() for line in (lists / f"matching/{way}_U").read_text().splitlines()]
        rows = [" ".join([query(row[0]), *map(candidate, row[1:])]) for row in names]
        (published / f"matching/matching_{way}_U.csv").write_text("\n".join(rows) + "\n")
    utts = read_data_dir(people / "data/unseen").utt2spk
    for name, path in (("wav_20k.csv", audio), ("jpg_20k.csv", face)):
        rows = [f"{spk}\t{path(utt)}\n" for utt, spk in utts.items()]
        (published / "retrieval" / name).write_text("VoxCeleb1 ID\tpath\n" + "".join(rows))
    (people / "ids").write_text("".join(f"Name_{spk} {spk}\n" for spk in set(utts.values())))
    status, text, theirs = associate(avsv, people, published, "--ids", people / "ids")
    assert status == 0, text
    keys = ("eer_percent", "auc_percent", "accuracy_percent", "accuracy_ci95", "map_percent")
    of_u = [r for r in ours if r["list"] not in ("G", "v2f_G", "f2v_G")]
    assert [[r.get(k) for k in keys] for r in theirs] == [[r.get(k) for k in keys] for r in of_u]


def test_a_name_without_an_embedding_is_an_error_that_names_it(avsv, people, lists):
    scp = people / "exp/sys/unseen/face.scp"
    scp.write_text("".join(line + "\n" for line in scp.read_text().splitlines() if not line.startswith("p03-v1-1 ")))
    status, text, _ = associate(avsv, people, lists, "--utt2spk", people / "data/unseen/utt2spk")
    assert status == 1 and "p03-v1-1" in text


def test_the_report_shows_every_list_with_chance_curves_and_both_modalities(avsv, people, lists):
    associate(avsv, people, lists, "--utt2spk", people / "data/unseen/utt2spk")
    status, text = avsv("association", "report", people / "exp", people / "data", people / "results")
    assert status == 0 and "| chance |" in text
    page = (people / "results/index.html").read_text()
    assert page.count("<circle") == page.count("<rect") == 36
    for words in ("Accuracy of 1:N matching, voice to face", "sys", "Retrieval", "verification"):
        assert words in page
    records = json.loads((people / "results/results.json").read_text())
    assert {(r["set"], r["system"]) for r in records} == {("unseen", "sys")}


def test_embeddings_of_two_dimensions_are_refused(avsv, people, lists):
    scp = people / "exp/sys/unseen/voice.scp"
    write_embeddings(people / "v.ark", scp, ["p00-v0-1"], np.ones((1, 3)))
    status, text, _ = associate(avsv, people, lists)
    assert status == 1 and "(3, 4)" in text and "association embed" in text


def test_lists_of_removed_groups_are_removed(lists, people, avsv):
    assert (lists / "verification/G").exists()
    (people / "data/unseen/spk2gender").unlink()
    assert avsv("association", "lists", people / "data/unseen", lists)[0] == 0
    assert not (lists / "verification/G").exists() and not (lists / "matching/v2f_G").exists()
    assert (lists / "verification/U").exists()
