"""Every public function that takes the name of a method refuses an unknown name instead of silently using a default."""

import logging

import numpy as np
import pytest
import torch

from avsv.embeddings.face import load_face_encoder
from avsv.errors import AvsvError, refuse_unknown
from avsv.evaluation.comparison import compare
from avsv.evaluation.report.results import Options, make_tables
from avsv.features.audio_damage import damage_audio, draw_audio_damage
from avsv.features.face_damage import damage_face, draw_face_damage
from avsv.features.face_pack import load_pack
from avsv.features.noisy_sets import draw_record, find_condition
from avsv.features.onnx_session import usable_providers
from avsv.importers.embeddings import name_utterances
from avsv.kaldi.damage import read_damage
from avsv.kaldi.embeddings import Embeddings
from avsv.models.avn_e import Fusion, FusionOptions
from avsv.models.avn_f import AVNF, AVNFOptions
from avsv.models.device import pick_device
from avsv.models.speaker_encoders import make_speaker_encoder
from avsv.scoring.backend import both_sides, make_backend
from avsv.scoring.domain import learn_adaptation
from avsv.scoring.missing import check_missing
from avsv.scoring.normalization import CHOICES, METHODS, normalize
from avsv.scoring.plda import LENGTHS, expected_length, fixed_length
from avsv.scoring.trial_embeddings import TrialEmbeddings
from avsv.systems.association.losses import orthogonal_projection
from avsv.systems.association.networks.family import AssociationOptions
from avsv.systems.association.networks.fop import make_fusion, transform
from avsv.systems.association.networks.registry import make_family
from avsv.systems.synchrony.losses import select_pairs
from avsv.training.checkpoints import final_weights
from avsv.training.config import OptimizerConfig
from avsv.training.pair_noise import PairNoise, PairNoiseOptions
from avsv.training.schedule import learning_rate, make_optimizer
from avsv.training.trainer import choose_precision

RNG = np.random.default_rng(0)
COHORT = RNG.standard_normal((5, 3))
EYE, ONES = np.eye(3), np.ones(3)
CPU = torch.device("cpu")
WAVEFORM, FACE = np.ones(100, np.float32), np.zeros((112, 112, 3), np.uint8)
ONE = Embeddings(["a"], np.ones((1, 3), np.float32))


def normalised(method="s-norm", choice="own"):
    return normalize(method, np.zeros(1), np.array([[0, 1]]), EYE, (COHORT, COHORT), 3, choice)


def family(**options):
    return make_family((4, 4), {"identity": 3}, AssociationOptions(**options))


# function and parameter -> a call with the given name
CALLS = {
    "normalize, method": lambda name: normalised(method=name),
    "normalize, choice": lambda name: normalised(choice=name),
    "learn_adaptation, method": lambda name: learn_adaptation(np.eye(3), name),
    "make_backend, name": lambda name: make_backend(name),
    "make_backend, length": lambda name: fixed_length(EYE, name),
    "expected_length": lambda name: expected_length(EYE, ONES, name),
    "both_sides": lambda name: both_sides(make_backend("cosine"), TrialEmbeddings(ONE, np.array([[0, 0]])), name),
    "check_missing": check_missing,
    "compare, reference": lambda name: compare({"a": np.arange(2.0)}, np.array([True, False]), None, reference=name),
    "make_tables, reference": lambda name: make_tables([], {}, Options(reference=name), ""),
    "damage_face": lambda name: damage_face(FACE, name, {}),
    "draw_face_damage": lambda name: draw_face_damage(RNG, {name: {}}),
    "damage_face, fill": lambda name: damage_face(
        FACE, "occlusion", {"share": 0.1, "aspect": 1, "x": 0, "y": 0, "fill": name, "seed": 0}
    ),
    "damage_audio": lambda name: damage_audio(WAVEFORM, {"kind": name}),
    "draw_audio_damage": lambda name: draw_audio_damage(RNG, {}, (name,)),
    "find_condition": find_condition,
    "draw_record": lambda name: draw_record(RNG, find_condition("noisy-0.6"), name, {}),
    "read_damage": lambda name: read_damage("nowhere", name),
    "name_utterances": lambda name: name_utterances("x", ONE, name),
    "load_pack, tasks": lambda name: load_pack("nowhere", "cpu", (name,)),
    "usable_providers": usable_providers,
    "pick_device": pick_device,
    "load_face_encoder, device": lambda name: load_face_encoder("nowhere", device=name),
    "orthogonal_projection": lambda name: orthogonal_projection(torch.eye(2), torch.tensor([0, 1]), name),
    "select_pairs": lambda name: select_pairs(torch.ones(2), torch.tensor([True, False]), name, 1.0),
    "fop.make_fusion, fusion": lambda name: make_fusion((4, 4), 4, name, "relu"),
    "fop.make_fusion, transform": lambda name: make_fusion((4, 4), 4, "gated", name),
    "fop.transform": lambda name: transform(4, 4, 0.0, name),
    "make_family, system": lambda name: family(system=name),
    "make_family, fusion": lambda name: family(system="fop", fusion=name),
    "make_family, transform": lambda name: family(system="fop", transform=name),
    "make_family, projection": lambda name: family(system="fop", projection=name),
    "make_family, direction": lambda name: family(system="svhf", direction=name),
    "Fusion, fusion": lambda name: Fusion(4, 4, FusionOptions(fusion=name)),
    "Fusion, missing": lambda name: Fusion(4, 4, FusionOptions(missing=name)),
    "Fusion, attention_on": lambda name: Fusion(4, 4, FusionOptions(reliability=True, attention_on=name)),
    "AVNF, attention": lambda name: AVNF(AVNFOptions(attention=name)),
    "make_speaker_encoder": lambda name: make_speaker_encoder(name, {}),
    "PairNoise": lambda name: PairNoise(PairNoiseOptions(damage=name), ([], []), [], (4, 4)),
    "learning_rate": lambda name: learning_rate(OptimizerConfig(schedule=name, warmup=0), 1, 10),
    "make_optimizer": lambda name: make_optimizer(torch.nn.Linear(1, 1), OptimizerConfig(name=name)),
    "choose_precision": lambda name: choose_precision(name, CPU),
    "final_weights": lambda name: final_weights("nowhere", name),
}  # fmt: skip


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("name", ["no-such-name", "", "None"])
def test_an_unknown_name_is_refused(call, name):
    with pytest.raises(AvsvError):
        call(name)


@pytest.mark.parametrize("name", ["z-norm ", "Z-NORM", "z_norm"])
def test_a_misspelt_name_is_refused(name):
    with pytest.raises(AvsvError, match="as-norm"):
        normalised(method=name)


def test_all_known_names_are_accepted(caplog):
    caplog.set_level(logging.WARNING)
    for method in METHODS:
        for choice in CHOICES:
            assert np.isfinite(normalised(method, choice)).all()
    for length in LENGTHS:
        assert fixed_length(EYE, length).shape == EYE.shape
    refuse_unknown("x", None, [None])
