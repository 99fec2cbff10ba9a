"""avsv verify with small networks: the compared modalities, the choice of the calibration map, and refusals."""

import json
import math

import kaldiio
import numpy as np
import pytest
import torch

from avsv import embed, load_fusion
from avsv.embeddings.face import load_face_encoder
from avsv.embeddings.voice import load_voice_encoder
from avsv.errors import InputError
from avsv.models.avn_e import FUSION, Fusion, FusionOptions
from avsv.models.checkpoint import save
from avsv.scoring.domain import Adaptation, write_adaptation
from avsv.scoring.projection import Projection
from tests.commands.clips import MAPS, calibration

UNDECIDED = 3


@pytest.fixture
def verify(avsv, encoders, media, vectors, tmp_path, monkeypatch):
    """Run the command with networks that are loaded only once."""
    for name, loaded in zip(("voice", "face"), encoders, strict=True):
        monkeypatch.setattr(f"avsv.embeddings.{name}.load_{name}_encoder", lambda *_, loaded=loaded: loaded)

    def call(a, b, *options, **changes):
        model = calibration(tmp_path / "m.json", vectors[1], **changes)
        clips = media / a, media / b
        return avsv("verify", "--voice", "v", "--face", "f", "--calibration", model, *options, *clips)

    return call


def cosine(vectors, modality, a, b):
    a, b = vectors[0][a][modality], vectors[0][b][modality]
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def ratio_of(output):
    return float(next(line for line in output.splitlines() if line.startswith("score")).split()[1])


PAIRS = [
    ("a.mp4", "b.mp4", "voice face"), ("a.mp4", "a.mp4", "voice face"), ("a.wav", "b.wav", "voice"),
    ("a.mp4", "b.wav", "voice"), ("dark.mp4", "b.mp4", "voice"), ("a-silent.mp4", "b-silent.mp4", "face"),
    ("a-silent.mp4", "b.mp4", "face"), ("c.png", "a.mp4", "face"), ("c.png", "clips", "face"), ("a.wav", "c.png", ""),
    ("dark.mp4", "a-silent.mp4", ""),
]  # fmt: skip


@pytest.mark.parametrize("a, b, shared", PAIRS)
def test_clips_are_compared_on_the_modalities_that_both_have(verify, vectors, a, b, shared):
    cosines = {modality: cosine(vectors, modality, a, b) for modality in shared.split()}
    weights, offset = MAPS.get(("voice" in cosines, "face" in cosines), ([], 0.0))
    expected = np.dot(weights, [*cosines.values()]) + offset
    status, output = verify(a, b)
    assert ratio_of(output) == pytest.approx(
        expected, abs=2e-3
    )  # printed with four digits, and faces are batched differently
    for modality in ("voice", "face"):
        value = next(line for line in output.splitlines() if line.startswith(modality)).split()[1]
        assert (value == "-") == (modality not in cosines)
    if cosines:
        assert status == 0
        assert output.splitlines()[-1] == ("the same person" if expected > 0 else "different people")
    else:
        assert status == UNDECIDED and "no verdict" in output and "the same person" not in output


def test_the_order_of_a_calibrations_systems_does_not_matter(verify):
    one = [verify(a, b)[1].splitlines()[-2:] for a, b, _ in PAIRS[:6]]
    assert one == [verify(a, b, order=("face", "voice"))[1].splitlines()[-2:] for a, b, _ in PAIRS[:6]]


def test_the_verdict_depends_on_the_prior(verify):
    ratio = ratio_of(verify("a.mp4", "b.mp4")[1])
    assert abs(ratio) < 6
    for prior, verdict in ((0.999, "the same person"), (0.001, "different people")):
        status, output = verify("a.mp4", "b.mp4", "--p-target", prior)
        assert status == 0 and output.splitlines()[-1] == verdict
        assert f"{math.log((1 - prior) / prior):.4f}" in output


def test_a_pattern_without_a_map_is_an_error(verify):
    status, output = verify("a.wav", "b.wav", patterns=[(True, True)])
    assert status == 1 and "voice" in output and "face" not in output
    assert verify("a.mp4", "b.mp4", patterns=[(True, True)])[0] == 0


@pytest.mark.parametrize(
    "changes",
    [{"trained_on": ["voice:other cosine", "face:other cosine"]}, {"trained_on": [None, None]}, {"trained_on": []},
     {"systems": ["s"]}, {"measures": [{"table": "t", "log": False, "median": 0.0}]}],
)  # fmt: skip
def test_a_calibration_for_other_models_or_measures_is_refused(verify, changes):
    status, output = verify("a.mp4", "b.mp4", **changes)
    assert status == 1 and "m.json" in output and "person" not in output.splitlines()[-1]


@pytest.mark.parametrize("how", ["plda", "cosine+as-norm", "cosine+center"])
def test_a_calibration_of_other_scores_of_the_same_models_is_refused(verify, vectors, how):
    status, output = verify("a.mp4", "b.mp4", trained_on=[f"{model} {how}" for model in vectors[1].values()])
    assert status == 1 and how in output


@pytest.mark.parametrize("number", [math.nan, math.inf, True])
@pytest.mark.parametrize("place", ["offset", "weights"])
def test_a_calibration_with_invalid_numbers_gives_no_verdict(verify, place, number):
    one = {"present": [True, True], "weights": [1.0, 1.0], "offset": 0.0}
    one[place] = number if place == "offset" else [1.0, number]
    status, output = verify("a.mp4", "b.mp4", maps=[one])
    assert status == 1 and "m.json" in output and "person" not in output.splitlines()[-1]


def test_integers_in_place_of_booleans_are_refused(verify):
    status, output = verify("a.mp4", "b.mp4", maps=[{"present": [1, 1], "weights": [1.0, 1.0], "offset": 0.0}])
    assert status == 1 and "present[0]" in output


@pytest.mark.parametrize("name", ["absent.mp4", "nothing.mp4", "still.wav", "notes.txt"])
def test_a_clip_with_neither_voice_nor_face_is_an_error(verify, name):
    status, output = verify("a.mp4", name)
    assert status == 1 and name in output


def test_the_order_of_fused_systems_does_not_change_a_verdict(avsv, encoder, pack, media, vectors, tmp_path):
    """The commands score, fuse and verify with voice and face in either order."""
    names = [
        "a.mp4",
        "b.mp4",
        "a-silent.mp4",
        "b-silent.mp4",
        "c.png",
        "dark.mp4",
    ]  # not a.wav, whose id equals that of a.mp4
    lines = [f"{a} {b} {'target' if a == b else 'nontarget'}\n" for a in names for b in names]
    (tmp_path / "trials").write_text("".join(lines))
    common = ["--trials", tmp_path / "trials"]
    for modality in ("voice", "face"):
        scp = media.parent / modality / "embedding.scp"
        assert avsv("score", *common, "--missing", "0", "--enroll", scp, tmp_path / modality)[0] == 0
    output = {}
    for order in (("voice", "face"), ("face", "voice")):
        fused = tmp_path / order[0][0]
        files = [tmp_path / modality for modality in order]
        assert avsv("fuse", *common, "--missing", "rest", "--scores", *files, fused)[0] == 0
        assert json.loads((tmp_path / f"{fused.name}.json").read_text())["trained_on"] == [
            f"{vectors[1][modality]} cosine" for modality in order
        ]
        argv = ["verify", "--voice", encoder, "--face", pack, "--calibration", f"{fused}.json"]
        output[order] = [avsv(*argv, media / "a.mp4", media / b)[1] for b in ("b.mp4", "b.wav")]
    for one, other in zip(*output.values(), strict=True):
        assert ratio_of(one) == pytest.approx(ratio_of(other), abs=2e-3)


def test_clips_are_adapted_before_they_are_compared(avsv, verify, vectors, tmp_path):
    """Maps with centers of our choice: the cosines are those of the centred embeddings, under the adapted names."""
    rng, options, cosines = np.random.default_rng(0), [], []
    for modality, model in vectors[1].items():
        a, b = (vectors[0][name][modality].astype(float) for name in ("a.mp4", "b.mp4"))
        center = 0.5 * (a + b) + 0.1 * np.linalg.norm(a) * rng.standard_normal(len(a)) / np.sqrt(len(a))
        write_adaptation(tmp_path / modality, Adaptation(Projection(center), "center", model))
        options += ["--adaptation", tmp_path / modality]
        cosines.append((a - center) @ (b - center) / np.linalg.norm(a - center) / np.linalg.norm(b - center))
    trained_on = [f"{model}+centered cosine" for model in vectors[1].values()]
    status, output = verify("a.mp4", "b.mp4", *options, trained_on=trained_on)
    weights, offset = MAPS[True, True]
    assert status == 0 and ratio_of(output) == pytest.approx(np.dot(weights, cosines) + offset, abs=2e-3)
    assert verify("a.mp4", "b.mp4", *options)[0] == verify("a.mp4", "b.mp4", trained_on=trained_on)[0] == 1
    (tmp_path / "voice" / "trained_on.json").write_text('{"model": "voice:other"}')
    status, output = verify("a.mp4", "b.mp4", *options, trained_on=trained_on)
    assert status == 1 and "voice:other" in output


TABLES = ["voice=log:{}/voice/utt2dur", "voice={}/voice/utt2snr", "face={}/face/utt2magnitude",
          "face=log:{}/face/utt2face_size"]  # fmt: skip


@pytest.fixture
def fused_by_quality(avsv, media, vectors, tmp_path):
    """A quality-dependent fusion of the media files, with the ratios of avsv fuse, by pair."""
    names = ["a.mp4", "b.mp4", "a-silent.mp4", "b-silent.mp4", "c.png", "dark.mp4"]
    people = {"a.mp4": "a", "a-silent.mp4": "a", "b.mp4": "b", "b-silent.mp4": "b", "dark.mp4": "a"}
    lines = [f"{a} {b} {'' if people.get(a, a) == people.get(b, b) else 'non'}target\n" for a in names for b in names]
    (tmp_path / "trials").write_text("".join(lines))
    common = ["--trials", tmp_path / "trials"]
    for modality in ("voice", "face"):
        scp = media.parent / modality / "embedding.scp"
        assert avsv("score", *common, "--missing", "0", "--enroll", scp, tmp_path / modality)[0] == 0
    files = [f"{modality}={tmp_path / modality}" for modality in ("face", "voice")]
    tables = [table.format(media.parent) for table in TABLES]
    argv = ["fuse", "--method", "quality", "--missing", "rest", *common, "--scores", *files, "--quality", *tables]
    assert avsv(*argv, "--p-target", "0.5", tmp_path / "t")[0] == 0
    model = json.loads((tmp_path / "t.json").read_text())
    for system in model["systems"]:  # a few pairs do not show how quality matters
        system |= {"log_scale": 1.5, "pivot": 0.5}
        for number, measure in enumerate(system["measures"]):
            measure |= {"scale_weights": [0.3, -0.2 * number], "offset_weights": [0.1, 0.4]}
    (tmp_path / "q.json").write_text(json.dumps(model))
    assert avsv(*argv, "--model", tmp_path / "q.json", tmp_path / "q")[0] == 0
    ratios = np.loadtxt(tmp_path / "q", dtype=str)
    return {(a, b): float(ratio) for a, b, ratio in ratios}


def run_verify(avsv, model, media, a, b):
    return avsv("verify", "--voice", "v", "--face", "f", "--calibration", model, media / a, media / b)


def test_verify_measures_the_quality_that_fuse_reads_from_tables(verify, fused_by_quality, avsv, media, tmp_path):
    pairs = [
        ("a.mp4", "b.mp4"),
        ("a.mp4", "dark.mp4"),
        ("b-silent.mp4", "c.png"),
        ("dark.mp4", "b.mp4"),
        ("dark.mp4", "c.png"),
    ]
    for a, b in pairs:
        status, output = run_verify(avsv, tmp_path / "q.json", media, a, b)
        assert status == (UNDECIDED if (a, b) == ("dark.mp4", "c.png") else 0)
        assert ratio_of(output) == pytest.approx(fused_by_quality[a, b], abs=5e-3), (a, b)
    assert fused_by_quality["dark.mp4", "c.png"] == 0


def test_a_quality_table_that_single_files_do_not_have_is_refused(verify, fused_by_quality, avsv, media, tmp_path):
    model = json.loads((tmp_path / "q.json").read_text())
    model["systems"][0]["measures"][0]["table"] = "exp/utt2accent"
    (tmp_path / "q.json").write_text(json.dumps(model))
    status, output = run_verify(avsv, tmp_path / "q.json", media, "a.mp4", "b.mp4")
    assert status == 1 and "utt2accent" in output and "q.json" in output


def test_a_quality_dependent_fusion_of_other_models_is_refused(verify, fused_by_quality, avsv, media, tmp_path):
    model = json.loads((tmp_path / "q.json").read_text())
    model["systems"][0]["trained_on"] = "face:other cosine"
    (tmp_path / "q.json").write_text(json.dumps(model))
    status, output = run_verify(avsv, tmp_path / "q.json", media, "a.mp4", "b.mp4")
    assert status == 1 and "face:other" in output


WITH_QUALITY = {"reliability": True, "voice_quality": ["utt2snr"], "face_quality": ["utt2magnitude"]}


@pytest.mark.parametrize("options", [{}, WITH_QUALITY], ids=["plain", "with quality"])
def test_embed_of_the_api_fuses_as_embed_pair_does(media, vectors, encoder, pack, avsv, tmp_path, options):
    torch.manual_seed(0)
    sizes = (len(vectors[0]["a.mp4"][name]) for name in ("voice", "face"))
    network = Fusion(*sizes, FusionOptions(size=4, **options)).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    save(tmp_path / "fusion", FUSION, network, network.description)
    scps = [option for name in ("voice", "face") for option in (f"--{name}", media.parent / name / "embedding.scp")]
    assert avsv("embed-pair", "--model", tmp_path / "fusion", *scps, tmp_path / "pairs")[0] == 0
    fused = kaldiio.load_scp(str(tmp_path / "pairs/embedding.scp"))
    models = load_voice_encoder(encoder), load_face_encoder(pack), load_fusion(tmp_path / "fusion")
    for name in ("a.mp4", "a-silent.mp4", "a.wav", "c.png"):
        assert embed(media / name, *models).vectors["fused"] == pytest.approx(fused[name], abs=1e-4)
    models[2].encoders = {"voice": f"{vectors[1]['voice']}+centered"}
    with pytest.raises(InputError, match="centered"):
        embed(media / "a.mp4", *models)
    (tmp_path / "trials").write_text("a.mp4 c.png nontarget\n")
    scp = tmp_path / "pairs/embedding.scp"
    assert avsv("score", "--trials", tmp_path / "trials", "--enroll", scp, tmp_path / "scores")[0] == 0
