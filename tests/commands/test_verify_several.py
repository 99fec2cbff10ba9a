"""avsv verify with several files, fused embeddings, operating points, installed calibrations, and as JSON."""

import json
import math

import numpy as np
import pytest
import torch

from avsv.kaldi.tables import read_table
from avsv.models.avn_e import FUSION, Fusion, FusionOptions
from avsv.models.checkpoint import save
from avsv.people.calibrations import FOLDER
from avsv.people.operating_point import Cost, Goal, OperatingPoint, Rate, calibration_digest, write_operating_point
from avsv.scoring.calibration import read_fusion
from tests.commands.clips import MAPS, calibration

UNDECIDED = 3


@pytest.fixture
def verify(avsv, encoders, media, vectors, tmp_path, monkeypatch):
    """Run the command on files of the media folder: verify(files, others, *options, model=...) -> status, JSON or text.

    Networks are loaded only once.
    """
    for name, loaded in zip(("voice", "face"), encoders, strict=True):
        monkeypatch.setattr(f"avsv.embeddings.{name}.load_{name}_encoder", lambda *_, loaded=loaded: loaded)
    default = calibration(tmp_path / "m.json", vectors[1])

    def call(files, others=(), *options, model=default, json_text=True, models=("voice", "face")):
        sides = [str(media / file) for file in files.split()]
        sides += ["--with", *(str(media / file) for file in others.split())] if others else []
        argv = [option for name in models for option in (f"--{name}", name[0])]
        argv += ["--calibration", model] if model else []
        status, output = avsv("verify", *argv, *(["--json"] if json_text else []), *options, *sides)
        if not json_text or status not in (0, UNDECIDED):
            return status, output
        return status, json.loads(output[output.index("{") :])

    return call


def mean_cosine(vectors, modality, a, b):
    """Cosine of the mean embeddings of the files that have the modality."""
    sides = [np.mean([vectors[0][file][modality] for file in side.split() if modality in vectors[0][file]], axis=0)
             for side in (a, b)]  # fmt: skip
    return float(sides[0] @ sides[1] / np.linalg.norm(sides[0]) / np.linalg.norm(sides[1]))


SIDES = [("a.mp4 a.wav", "b.mp4", "voice face"), ("a.mp4 c.png", "b.mp4 b.wav b-silent.mp4", "voice face"),
         ("a.wav b.wav", "b.mp4", "voice"), ("c.png clips", "a-silent.mp4", "face"),
         ("a.wav c.png", "b.mp4", "voice face")]  # fmt: skip


@pytest.mark.parametrize("a, b, shared", SIDES)
def test_several_files_are_compared_by_their_mean_embeddings(verify, vectors, a, b, shared):
    expected = {modality: mean_cosine(vectors, modality, a, b) for modality in shared.split()}
    weights, offset = MAPS["voice" in expected, "face" in expected]
    status, report = verify(a, b)
    assert status == 0 and report["modalities"] == pytest.approx(expected, abs=2e-3)
    ratio = np.dot(weights, [*expected.values()]) + offset
    assert report["llr"] == pytest.approx(ratio, abs=1e-2)
    assert report["probability"] == pytest.approx(1 / (1 + math.exp(-report["llr"])))
    assert report["same"] == (report["llr"] > 0) and report["shared"] == shared.split()


def test_several_files_score_as_a_model_of_avsv_score(avsv, verify, media, vectors, tmp_path):
    """avsv score --enroll-spk2utt and avsv fuse --model, with the same calibration."""
    (tmp_path / "trials").write_text("A b.mp4 target\nB b.mp4 nontarget\n")
    (tmp_path / "spk2utt").write_text("A a.mp4 a-silent.mp4 c.png\nB c.png clips\n")
    for modality, missing in (("voice", "0"), ("face", "0")):
        scp = media.parent / modality / "embedding.scp"
        argv = ["--trials", tmp_path / "trials", "--enroll", scp, "--enroll-spk2utt", tmp_path / "spk2utt"]
        assert avsv("score", *argv, "--missing", missing, tmp_path / modality)[0] == 0
    files = [tmp_path / modality for modality in ("voice", "face")]
    argv = ["--trials", tmp_path / "trials", "--missing", "rest", "--model", tmp_path / "m.json", "--scores", *files]
    status, output = avsv("fuse", *argv, tmp_path / "fused")
    assert status == 0, output
    ratios = {line.split()[0]: float(line.split()[2]) for line in (tmp_path / "fused").read_text().splitlines()}
    assert verify("a.mp4 a-silent.mp4 c.png", "b.mp4")[1]["llr"] == pytest.approx(ratios["A"], abs=1e-2)
    assert verify("c.png clips", "b.mp4")[1]["llr"] == pytest.approx(ratios["B"], abs=1e-2)


@pytest.fixture
def network(media, vectors, avsv, tmp_path):
    """Train nothing: a random network, its embeddings of the media, and calibrations of both kinds of cosines."""
    torch.manual_seed(0)
    sizes = (len(vectors[0]["a.mp4"][name]) for name in ("voice", "face"))
    fusion = Fusion(*sizes, FusionOptions(fusion="soft_attention_concat", size=4)).eval()
    for parameter in fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save(tmp_path / "fusion", FUSION, fusion, fusion.description)
    scps = [option for name in ("voice", "face") for option in (f"--{name}", media.parent / name / "embedding.scp")]
    assert avsv("embed-pair", "--model", tmp_path / "fusion", *scps, tmp_path / "pairs")[0] == 0
    names = ["a.mp4", "b.mp4", "a-silent.mp4", "b-silent.mp4", "c.png", "dark.mp4"]
    lines = [f"{a} {b} {'' if a[0] == b[0] else 'non'}target\n" for a in names for b in names if a != b]
    (tmp_path / "trials").write_text("".join(lines))
    pairs = tmp_path / "pairs"
    for name, options in (("cosine", []), ("shared", ["--weights", pairs / "weights", "--missing", "0"])):
        argv = ["--trials", tmp_path / "trials", "--enroll", pairs / "embedding.scp", *options]
        assert avsv("score", *argv, tmp_path / name)[0] == 0
        argv = ["--trials", tmp_path / "trials", "--missing", "rest", "--scores", tmp_path / name]
        assert avsv("calibrate", *argv, tmp_path / f"{name}_llr")[0] == 0
    return tmp_path


@pytest.mark.parametrize("kind", ["cosine", "shared"])
def test_fused_embeddings_give_the_ratios_of_score_and_calibrate(verify, network, kind):
    options = ("--fusion", network / "fusion")
    lines = [line.split() for line in (network / f"{kind}_llr").read_text().splitlines()]
    expected = {(a, b): float(ratio) for a, b, ratio in lines}
    model = network / f"{kind}_llr.json"
    for a, b in (("a.mp4", "b.mp4"), ("b-silent.mp4", "a.mp4"), ("dark.mp4", "b.mp4")):
        status, report = verify(f"{a} {b}", "", *options, model=model)
        assert status == 0 and [*report["modalities"]] == ["fused"]
        assert report["llr"] == pytest.approx(expected[a, b], rel=1e-2, abs=2e-2), (a, b)
    status, report = verify("dark.mp4 c.png", "", *options, model=model)
    assert status == UNDECIDED and report["llr"] == 0 and report["same"] is None
    status, report = verify("a.mp4 a.wav", "b.mp4", *options, model=model)
    assert status == (0 if kind == "cosine" else 1)  # weights are those of single recordings


def test_a_network_does_not_forbid_a_calibration_of_voice_and_face(verify, network, vectors):
    model = calibration(network / "m.json", vectors[1])
    with_network = verify("a.mp4 b.mp4", "", "--fusion", network / "fusion", model=model)[1]
    assert with_network["modalities"] == verify("a.mp4 b.mp4", "", model=model)[1]["modalities"]


def write_point(path, model, goal=None, threshold=1.0):
    fusion, rate = read_fusion(model), Rate(0.0, 0.0, 0.5, 0, 9)
    point = OperatingPoint(threshold, goal or Goal(0.2), calibration_digest(fusion), fusion.trained_on, 12, True, 0.1,
                           0.3, rate, rate, Cost(0.0, 0.0, 0.1), ["only 9 people"])  # fmt: skip
    write_operating_point(path, point)
    return path


def test_an_operating_point_sets_the_threshold_and_its_prior_the_probability(verify, tmp_path):
    model = tmp_path / "m.json"
    ratio = verify("a.mp4 b.mp4")[1]["llr"]
    for threshold in (ratio - 1, ratio + 1):
        point = write_point(tmp_path / "p.json", model, threshold=threshold)
        status, report = verify("a.mp4 b.mp4", "", "--operating-point", point)
        assert status == 0 and report["same"] == (ratio > threshold) and report["threshold"] == threshold
        assert report["p_target"] == 0.2
        assert report["probability"] == pytest.approx(1 / (1 + 4 * math.exp(-ratio)))
        assert report["operating_point"]["warnings"] == ["only 9 people"]
    point = write_point(tmp_path / "p.json", model, Goal(false_acceptance=0.1))
    assert verify("a.mp4 b.mp4", "", "--operating-point", point)[1]["p_target"] == 0.5
    output = verify("a.mp4 b.mp4", "", "--operating-point", point, json_text=False)[1]
    assert "10 %" in output and "only 9 people" in output


def test_an_operating_point_of_another_calibration_is_refused(verify, vectors, tmp_path):
    other = calibration(tmp_path / "other.json", vectors[1], target_prior=0.1)
    status, output = verify("a.mp4 b.mp4", "", "--operating-point", write_point(tmp_path / "p.json", other))
    assert status == 1 and "p.json" in output


def test_remarks_absences_and_files_are_reported(verify, media):
    report = verify("dark.mp4 b.mp4")[1]
    assert [one["file"] for side in report["sides"] for one in side] == [str(media / f) for f in ("dark.mp4", "b.mp4")]
    assert "no face" in report["sides"][0][0]["absent"]["face"] and list(report["absent"]) == ["face"]
    codes = {remark["code"] for remark in report["sides"][0][0]["remarks"]}
    assert "little_speech" in codes  # one second
    text = verify("dark.mp4 b.mp4", json_text=False)[1]
    assert "dark.mp4" in text and "s of speech" in text


def test_a_clip_on_both_sides_is_warned_of(verify):
    assert "both sides" in verify("a.mp4 b.mp4", "a.mp4", json_text=False)[1]


@pytest.mark.parametrize("files, others, models", [("a.mp4", "", ("voice", "face")), ("a.mp4 b.mp4 c.png", "",
                                                   ("voice", "face")), ("a.mp4 b.mp4", "", ())])  # fmt: skip
def test_unclear_sides_and_no_models_are_refused(verify, files, others, models):
    assert verify(files, others, models=models)[0] == 1


def test_an_unreadable_file_of_several_is_named(verify):
    status, output = verify("a.mp4 notes.txt", "b.mp4")
    assert status == 1 and "notes.txt" in output


def test_one_modality_needs_one_encoder_and_its_calibration(verify, vectors, tmp_path):
    weights, offset = MAPS[True, False]
    maps = [{"present": [True], "weights": weights, "offset": offset}]
    model = calibration(tmp_path / "v.json", {"voice": vectors[1]["voice"]}, order=("voice",), patterns=(), maps=maps)
    status, report = verify("a.mp4 b.mp4", "", model=model, models=("voice",))
    assert status == 0 and [*report["modalities"]] == ["voice"]


def test_an_installed_calibration_is_found_by_its_models(verify, vectors, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    status, output = verify("a.mp4 b.mp4", model=None)
    assert status == 1 and str(FOLDER) in output
    folder = tmp_path / "home" / FOLDER
    folder.mkdir(parents=True)
    calibration(folder / "others.json", {"voice": "voice:9", "face": "face:9"})
    calibration(folder / "ours.json", vectors[1])
    status, output = verify("a.mp4 b.mp4", model=None, json_text=False)
    assert status == 0 and "not verified on your data" in output and "ours.json" in output
    assert verify("a.mp4 b.mp4", model=None)[1]["calibration"]["installed"] is True
    calibration(folder / "again.json", vectors[1])
    status, output = verify("a.mp4 b.mp4", model=None)
    assert status == 1 and "again.json" in output
    (folder / "again.json").write_text("{}")
    assert verify("a.mp4 b.mp4", model=None)[0] == 1


def test_the_weights_of_single_files_are_those_of_embed_pair(network, encoders, media):
    from avsv import embed, load_fusion

    table = read_table(network / "pairs" / "weights")
    for name in ("a.mp4", "dark.mp4"):
        observed = embed(media / name, *encoders, load_fusion(network / "fusion")).observed["fused"]
        assert [*observed.values()] == pytest.approx([float(v) for v in table[name].split()], abs=1e-3)
