"""AVN-E trained on simulated embeddings: fused scores beat both modalities, and attention follows the damage."""

import itertools
import json
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import torch

from avsv.embeddings.pair import load_fusion
from avsv.kaldi.embeddings import read_embeddings, write_embeddings
from avsv.kaldi.pairs import join_embeddings
from avsv.kaldi.trials import Trials
from avsv.scoring.trial_scores import score
from avsv.training.batches import plan_by_person
from avsv.training.config import apply_schema, read_config
from avsv.training.schedule import learning_rate
from avsv.training.tasks.avn_e import FusionConfig, FusionModel, attention_loss

# records of damage in the form of utt2damage
HIT = {"voice": {"kind": "noise", "sources": [["n.wav", 0.5]], "snr": 5.0}, "face": {"kind": "jpeg", "quality": 5}}

ROOT = Path(__file__).resolve().parents[3]

CONFIG = """
task: avn_e
exp_dir: {folder}/exp
data_dir: {folder}
voice: {folder}/voice.scp
face: {folder}/face.scp
size: 32
epochs: 15
batch_size: 64
device: cpu
optimizer: {{lr: 0.003}}
"""


def write_people(folder, n_people=20, n_clips=8, noise=1.0, seed=0):
    """Gaussian people; the first clip has no voice, the second no face."""
    folder.mkdir(exist_ok=True)
    rng = np.random.default_rng(seed)
    utts = [f"p{p:02d}-{c}" for p in range(n_people) for c in range(n_clips)]
    (folder / "utt2spk").write_text("".join(f"{utt} {utt[:3]}\n" for utt in utts))
    for name, dim in (("voice", 12), ("face", 16)):
        people = np.repeat(rng.normal(size=(n_people, dim)), n_clips, 0)
        vectors = (people + noise * rng.normal(size=people.shape) + 0.5).astype(np.float32)
        kept = [i for i in range(len(utts)) if i != (0 if name == "voice" else 1)]
        write_embeddings(folder / f"{name}.ark", folder / f"{name}.scp", [utts[i] for i in kept], vectors[kept])
    return folder


def test_embeddings_are_joined_by_utterance(tmp_path):
    folder = write_people(tmp_path / "d", 2, 3)
    voice, face, present, utts = join_embeddings(folder / "voice.scp", folder / "face.scp")
    assert utts == ["p00-0", "p00-1", "p00-2", "p01-0", "p01-1", "p01-2"]
    assert present.tolist() == [[False, True], [True, False]] + [[True, True]] * 4
    assert not voice[0].any() and not face[1].any() and voice[2].any()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    from avsv.cli import main

    folder = write_people(tmp_path_factory.mktemp("fusion") / "train")
    (folder / "c.yaml").write_text(CONFIG.format(folder=folder))
    assert main(["train", str(folder / "c.yaml")]) == 0
    return folder


def test_fused_embeddings_beat_both_modalities_and_every_clip_has_one(trained, tmp_path, avsv):
    test = write_people(tmp_path / "test", seed=1)
    status, output = avsv("embed-pair", "--model", trained / "exp", "--voice", test / "voice.scp", "--face",
                        test / "face.scp", tmp_path / "out")  # fmt: skip
    assert status == 0, output
    fused = kaldiio.load_scp(str(tmp_path / "out/embedding.scp"))
    assert len(fused) == 160 and all(np.isfinite(vector).all() for vector in fused.values())
    weights = dict(line.split(" ", 1) for line in (tmp_path / "out/weights").read_text().splitlines())
    assert weights["p00-0"] == "0.0000 1.0000" and weights["p00-1"] == "1.0000 0.0000"
    shares = dict(line.split() for line in (tmp_path / "out/utt2voice_weight").read_text().splitlines())
    assert shares == {utt: both.split()[0] for utt, both in weights.items()}

    def separation(vectors):
        utts = [utt for utt in sorted(vectors) if utt not in ("p00-0", "p00-1")]
        x = np.stack([vectors[utt] for utt in utts])
        x = x - x.mean(0)
        cosine = (x @ x.T) / np.outer(np.linalg.norm(x, axis=1), np.linalg.norm(x, axis=1))
        people = np.array([utt[:3] for utt in utts])
        same = (people[:, None] == people) & ~np.eye(len(x), dtype=bool)
        return (cosine[same].mean() - cosine[people[:, None] != people].mean()) / cosine[
            people[:, None] != people
        ].std()

    single = [separation(kaldiio.load_scp(str(test / f"{name}.scp"))) for name in ("voice", "face")]
    assert separation(fused) > max(single)


def test_a_network_is_used_only_with_embeddings_of_the_encoders_that_it_was_trained_on(tmp_path, avsv):
    """Both of raw embeddings, the network trained on centred ones."""
    scps = {}
    for name in ("voice", "face"):
        raw = read_embeddings(write_people(tmp_path / "data", 4, 4) / f"{name}.scp")
        (tmp_path / name).mkdir()
        scps[name] = tmp_path / name / "embedding.scp"
        write_embeddings(tmp_path / name / "embedding.ark", scps[name], raw.ids, raw.vectors, f"{name}:1")
        adapt = ["adapt", "--embeddings", scps[name], "--apply", scps[name], tmp_path / f"{name}_adapted"]
        assert avsv(*adapt, tmp_path / f"{name}_map")[0] == 0
    adapted = {name: tmp_path / f"{name}_adapted" / "embedding.scp" for name in scps}
    (tmp_path / "c.yaml").write_text(CONFIG.format(folder=tmp_path))
    more = [f"{name}={scp}" for name, scp in adapted.items()]
    assert avsv("train", tmp_path / "c.yaml", "epochs=1", f"data_dir={tmp_path / 'data'}", *more)[0] == 0
    for given, expected in ((adapted, 0), (scps, 1)):
        pair = [option for name, scp in given.items() for option in (f"--{name}", scp)]
        status, output = avsv("embed-pair", "--model", tmp_path / "exp", *pair, tmp_path / f"out{expected}")
        assert status == expected, output
    assert "voice:1+centered" in output


def test_embeddings_of_another_size_are_refused(trained, tmp_path, avsv):
    write_embeddings(tmp_path / "v.ark", tmp_path / "v.scp", ["p00-0"], np.ones((1, 7), np.float32))
    status, output = avsv("embed-pair", "--model", trained / "exp", "--voice", tmp_path / "v.scp", "--face",
                        trained / "face.scp", tmp_path / "out")  # fmt: skip
    assert status == 1 and "sizes (12, 16), found (7, 16)" in output
    status, output = avsv("embed-pair", "--model", tmp_path, "--voice", trained / "voice.scp", "--face",
                        trained / "face.scp", tmp_path / "out")  # fmt: skip
    assert status == 1 and "finished training" in output


def write_damage(clean, folder, seed):
    """The same clips; voice or face is damaged with equal probability: by noise, and by a shift common to all."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    (folder / "utt2spk").write_text((clean / "utt2spk").read_text())
    lines = []
    vectors = {name: kaldiio.load_scp(str(clean / f"{name}.scp")) for name in ("voice", "face")}
    sides = {name: dict(vectors[name]) for name in vectors}
    for utt in sorted(set(sides["voice"]) & set(sides["face"])):
        name = ("voice", "face")[rng.integers(2)]
        shift = np.where(np.arange(len(sides[name][utt])) < 4, 8.0, 0.0)
        sides[name][utt] = sides[name][utt] + shift + 3 * rng.normal(size=len(shift))
        lines.append(f"{utt} " + json.dumps({"modality": name, **HIT[name]}) + "\n")
    (folder / "utt2damage").write_text("".join(lines))
    for name, side in sides.items():
        write_embeddings(folder / f"{name}.ark", folder / f"{name}.scp", list(side),
                         np.stack(list(side.values())).astype(np.float32))  # fmt: skip
    return folder


RELIABLE = """
fusion: soft_attention_concat
transform_depth: 0
reliability: true
attention_on: reliability
missing: learned
losses: {{aam: 0, verification: 1, damage: 0.3, attention: 0.2}}
damage: real
damaged_sets: [{{data_dir: {damaged}, voice: {damaged}/voice.scp, face: {damaged}/face.scp}}]
clips_per_person: 4
"""


def test_attention_favours_the_clean_modality_of_new_people(tmp_path, avsv):
    clean = write_people(tmp_path / "train", 20, 8, seed=2)
    damaged = write_damage(clean, tmp_path / "damaged", 3)
    text = CONFIG.format(folder=clean) + RELIABLE.format(damaged=damaged)
    (tmp_path / "c.yaml").write_text(text.replace("lr: 0.003", "lr: 0.05").replace("epochs: 15", "epochs: 40"))
    status, output = avsv("train", tmp_path / "c.yaml")
    assert status == 0, output
    test = write_people(tmp_path / "test", 10, 8, seed=4)
    noisy = write_damage(test, tmp_path / "noisy", 5)
    damage = dict(line.split(" ", 1) for line in (noisy / "utt2damage").read_text().splitlines())
    voice = {}
    for name, folder in (("clean", test), ("noisy", noisy)):
        status, output = avsv("embed-pair", "--model", clean / "exp", "--voice", folder / "voice.scp", "--face",
                            folder / "face.scp", tmp_path / name)  # fmt: skip
        assert status == 0, output
        weights = dict(line.split(" ", 1) for line in (tmp_path / name / "weights").read_text().splitlines())
        for hit in ("voice", "face"):
            rows = [float(weights[utt].split()[0]) for utt, what in damage.items() if f'"{hit}"' in what]
            voice[name, hit] = np.mean(rows)
    assert voice["noisy", "voice"] < voice["clean", "voice"] - 0.03
    assert voice["noisy", "face"] > voice["clean", "face"] + 0.03


QUALITY = """
fusion: soft_attention_concat
transform_depth: 0
attention_on: quality
voice_quality: [utt2snr]
face_quality: ["log:utt2sharpness"]
domain_quality: [utt2similarity]
losses: {{aam: 0, verification: 1}}
missing_share: 0.5
clips_per_person: 4
damage: none
"""


def write_graded(folder, seed, adapted=False):
    """The lower a voice's utt2snr, the noisier its embedding; a fifth of the clips lack voice or face."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    utts = [f"p{p:02d}-{c}" for p in range(24) for c in range(8)]
    people = rng.normal(size=(24, 2, 16))[np.repeat(np.arange(24), 8)]
    snr = rng.uniform(0, 20, len(utts))
    lost = rng.integers(10, size=len(utts))
    (folder / "utt2spk").write_text("".join(f"{utt} {utt[:3]}\n" for utt in utts))
    for modality, (name, deviation) in enumerate(
        {"voice": 3 * np.exp(-snr / 5), "face": np.full(len(utts), 1.0)}.items()
    ):
        place = folder / name
        place.mkdir()
        vectors = people[:, modality] + deviation[:, None] * rng.normal(size=(len(utts), 16))
        kept = np.flatnonzero(lost != modality)
        write_embeddings(place / "embedding.ark", place / "embedding.scp", [utts[i] for i in kept],
                         vectors[kept].astype(np.float32))  # fmt: skip
        tables = {"utt2snr": snr, "utt2sharpness": np.full(len(utts), 2.0)} | (
            {"utt2similarity": snr} if adapted else {}
        )
        for table, values in tables.items():
            (place / table).write_text("".join(f"{utts[i]} {values[i]:.3f}\n" for i in kept))
    return folder


def shared_error(folder, weights=None):
    """EER, in %, of all pairs of clips that have a score; of the fused embeddings in `folder`."""
    vectors = kaldiio.load_scp(str(folder / "embedding.scp"))
    utts = sorted(vectors)
    pairs = np.array(list(itertools.combinations(range(len(utts)), 2)))
    trials = Trials(utts, utts, pairs)
    scores = score(trials, folder / "embedding.scp", weights=weights, missing="nan")
    same = np.array([utts[i][:3] == utts[j][:3] for i, j in pairs])
    kept = np.isfinite(scores)
    targets, nontargets = np.sort(scores[kept & same]), np.sort(scores[kept & ~same])
    missed = np.arange(len(targets)) / len(targets)  # at a threshold equal to each target score
    accepted = 1 - np.searchsorted(nontargets, targets) / len(nontargets)
    return 100 * missed[np.argmax(missed >= accepted)]


def test_attention_on_quality_beats_both_modalities_on_new_people(tmp_path, avsv):
    train, test = write_graded(tmp_path / "train", 0), write_graded(tmp_path / "test", 1)
    paths = {name: f"{train}/{name}/embedding.scp" for name in ("voice", "face")}
    text = CONFIG.format(folder=train) + QUALITY.format()
    (tmp_path / "c.yaml").write_text(text.replace("lr: 0.003", "lr: 0.02").replace("epochs: 15", "epochs: 40"))
    status, output = avsv("train", tmp_path / "c.yaml", *(f"{name}={path}" for name, path in paths.items()))
    assert status == 0, output
    status, output = avsv("embed-pair", "--model", train / "exp", "--voice", test / "voice/embedding.scp", "--face",
                        test / "face/embedding.scp", tmp_path / "out")  # fmt: skip
    assert status == 0, output
    weights = dict(line.split(" ", 1) for line in (tmp_path / "out/weights").read_text().splitlines())
    snr = dict(line.split() for line in (test / "voice/utt2snr").read_text().splitlines())
    voice = {utt: float(values.split()[0]) for utt, values in weights.items() if 0 < float(values.split()[0]) < 1}
    assert np.corrcoef([voice[utt] for utt in voice], [float(snr[utt]) for utt in voice])[0, 1] > 0.8
    fused = shared_error(tmp_path / "out", [tmp_path / "out/weights"])
    assert fused < min(shared_error(test / "voice"), shared_error(test / "face")) - 1


@pytest.mark.parametrize("adapted", [False, True])
def test_quality_of_the_domain_counts_where_embeddings_are_adapted(tmp_path, avsv, adapted):
    train = write_graded(tmp_path / "train", 0, adapted)
    paths = [f"{name}={train}/{name}/embedding.scp" for name in ("voice", "face")]
    (tmp_path / "c.yaml").write_text(CONFIG.format(folder=train) + QUALITY.format())
    status, output = avsv("train", tmp_path / "c.yaml", "epochs=1", *paths)
    assert status == 0, output
    options = load_fusion(train / "exp").options
    further = ["utt2similarity"] * adapted
    assert options.voice_quality == ["utt2snr", *further]
    assert options.face_quality == ["log:utt2sharpness", *further]


def test_quality_is_standardised_over_clean_and_damaged_clips(tmp_path, avsv):
    train, damaged = write_graded(tmp_path / "train", 0), write_graded(tmp_path / "damaged", 1)
    utts = [line.split()[0] for line in (damaged / "voice/embedding.scp").read_text().splitlines()]
    hit = json.dumps({"modality": "voice", **HIT["voice"]})
    (damaged / "utt2damage").write_text("".join(f"{utt} {hit}\n" for utt in utts))
    sets = f"damaged_sets=[{{data_dir: {damaged}, voice: {damaged}/voice/embedding.scp}}]"
    paths = [f"{name}={train}/{name}/embedding.scp" for name in ("voice", "face")]
    (tmp_path / "c.yaml").write_text(CONFIG.format(folder=train) + QUALITY.format())
    status, output = avsv("train", tmp_path / "c.yaml", "epochs=1", "damage=real", sets, *paths)
    assert status == 0, output
    lines = [line for one in (train, damaged) for line in (one / "voice/utt2snr").read_text().splitlines()]
    values = np.array([float(line.split()[1]) for line in lines])
    fusion = load_fusion(train / "exp")
    assert fusion.quality_mean[0].item() == pytest.approx(values.mean(), rel=1e-4)
    assert fusion.quality_std[0].item() == pytest.approx(values.std(ddof=1), rel=1e-4)
    assert fusion.quality_mean[1].item() == pytest.approx(np.log(2))  # no face is damaged


def test_attention_loss_is_minus_the_logarithm_of_the_clean_weight():
    weights = torch.tensor([[0.3, 0.7], [0.3, 0.7], [0.3, 0.7], [0.0, 1.0]])
    present = torch.tensor([[True, True]] * 3 + [[False, True]])
    damaged = torch.tensor([[True, False], [False, True], [True, True], [False, True]])
    assert attention_loss(weights, present, damaged).item() == pytest.approx(-(np.log(0.7) + np.log(0.3)) / 4)


def test_batches_hold_several_clips_of_each_person_and_all_people_take_turns():
    labels = torch.tensor([0] * 50 + [1] * 2 + [2] * 8 + [3] * 20)
    batches = plan_by_person(labels, 8, 4, [0, 0])
    assert len(batches) == 10
    seen = []
    for rows in batches:
        people, counts = labels[rows].unique(return_counts=True)
        assert counts.tolist() == [4, 4]
        seen += people.tolist()
        if 1 not in people:  # a person with two clips contributes each twice
            assert len(rows.unique()) == 8
    assert np.bincount(seen).tolist() == [5, 5, 5, 5]


def test_batches_of_an_epoch_are_repeatable_and_have_each_clip_once():
    labels = torch.arange(10) % 3
    one, other = (plan_by_person(labels, 4, 0, [7, 1]) for _ in range(2))
    assert [rows.tolist() for rows in one] == [rows.tolist() for rows in other]
    assert [len(rows) for rows in one] == [4, 4] and len(torch.cat(one).unique()) == 8


def test_all_losses_and_forms_of_damage_train_together(tmp_path, avsv):
    folder = write_people(tmp_path / "d", 8, 6)
    held_out = write_people(tmp_path / "v", 4, 5, seed=1)
    for name in ("utt2spk", "voice.scp", "face.scp"):  # other people
        lines = (held_out / name).read_text().splitlines()
        (held_out / name).write_text(
            "".join(line.replace("p0", "q0", 2 if name == "utt2spk" else 1) + "\n" for line in lines)
        )
    (tmp_path / "c.yaml").write_text(CONFIG.format(folder=folder).replace("epochs: 15", "epochs: 2"))
    status, output = avsv(
        "train", tmp_path / "c.yaml", "batch_size=16", "clips_per_person=4", "reliability=true",
        "attention_on=reliability",
        "losses={aam: 1, contrastive: 0.1, verification: 0.5, damage: 0.3, attention: 0.1}", "margin_warmup=0.5",
        "sub_centres=2", "inter_top_k=3", "damage_both=true", "missing_share=0.2", "attention_depth=2",
        f"valid_dir={held_out}", f"valid_voice={held_out}/voice.scp", f"valid_face={held_out}/face.scp",
    )  # fmt: skip
    assert status == 0, output
    history = [json.loads(line) for line in (folder / "exp/history.jsonl").read_text().splitlines()]
    assert {"aam", "contrastive", "verification", "damage", "attention", "eer_percent"} <= history[1].keys()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("losses={damage: 0.3}", "set reliability: true"),
        ("losses={softmax: 1}", 'unknown key "softmax"'),
        ("fusion=adding", "expected one of concat"),
    ],
)
def test_a_contradictory_configuration_is_refused(tmp_path, avsv, change, message):
    folder = write_people(tmp_path / "d", 3, 4)
    (tmp_path / "c.yaml").write_text(CONFIG.format(folder=folder))
    status, output = avsv("train", tmp_path / "c.yaml", change)
    assert status == 1 and message in output


@pytest.mark.parametrize("path", sorted(ROOT.glob("egs/*/conf/avn_e*.yaml")), ids=lambda p: f"{p.parts[-3]}/{p.name}")
def test_configurations_of_the_recipes_build_their_networks(path):
    config = apply_schema(read_config(path, []), FusionConfig, path)
    model = FusionModel(192, 512, 10, config)
    assert model.fusion.options.fusion == config.fusion


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("egs/*/conf/avn_e_paper*.yaml")), ids=lambda p: f"{p.parts[-3]}/{p.name}"
)
def test_the_papers_schedule_is_in_its_configurations(path):
    config = apply_schema(read_config(path, []), FusionConfig, path)
    rates = [learning_rate(config.optimizer, step, 1001) for step in (0, 500, 1000)]
    assert rates == pytest.approx([1e-5, 10**-5.5, 1e-6])
    assert (config.optimizer.weight_decay, config.batch_size, config.scale) == (1e-4, 256, 32)
    assert (config.losses.aam, config.losses.contrastive) == (1, 0.1)
