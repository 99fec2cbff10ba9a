"""Every loader restores a network completely or refuses the file."""

import json
import os
import shutil
import time
import zipfile
from contextlib import suppress
from dataclasses import asdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from avsv.errors import InputError
from avsv.models.avn_e import FUSION, Fusion, FusionOptions
from avsv.models.avn_f import AVN_F, AVNF, AVNFOptions
from avsv.models.checkpoint import load, matching, read_state, save
from avsv.models.speechbrain_folder import load_encoder
from avsv.systems.association.networks.family import AssociationOptions
from avsv.systems.association.networks.inception_resnet import TrunkOptions
from avsv.systems.association.networks.media import ASSOCIATION_MEDIA, MediaNetwork
from avsv.systems.association.networks.registry import ASSOCIATION, make_family
from avsv.systems.synchrony.embedding import NETWORKS, SYNCHRONY
from avsv.training.checkpoints import load_state
from tests.models.small_encoder import write_encoder

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0000\nsize 83316686\n"
PAGE = b"\n<!DOCTYPE html><html>Sign in</html>"


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    return write_encoder(tmp_path_factory.mktemp("encoder"))


def embed(folder):
    waveform = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 16000)).astype(np.float32))
    return load_encoder(str(folder), "cpu").encode_batch(waveform)


@pytest.mark.parametrize("change", [
    lambda state: {f"module.{name}": w for name, w in state.items()},
    lambda state: {"classifier.weight": torch.ones(3), **{f"embedding_model.{name}": w for name, w in state.items()}},
    lambda state: {f"module.embedding_model.{name}": w for name, w in state.items()},
    lambda state: {"state_dict": state, "epoch": 3},
    lambda state: {"model": {f"module.{name}": w for name, w in state.items()}, "optimizer": {"lr": 1.0}},
    lambda state: {"state_dict": {"model": state}},
    lambda state: {name: w for name, w in state.items() if not name.endswith("num_batches_tracked")},
    lambda state: {name: w.double() if w.is_floating_point() else w for name, w in state.items()},
])  # fmt: skip
def test_known_wrappings_give_the_same_embedding(encoder, tmp_path, change):
    folder = shutil.copytree(encoder, tmp_path / "m")
    torch.save(change(torch.load(encoder / "embedding_model.ckpt", weights_only=True)), folder / "embedding_model.ckpt")
    assert torch.equal(embed(folder), embed(encoder))


def first(state):
    return next(iter(state))


@pytest.mark.parametrize("change", [
    lambda state: {},
    lambda state: {"state_dict": {}},
    lambda state: {f"other.{name}": w for name, w in state.items()},
    lambda state: {name: w for name, w in state.items() if name != first(state)},
    lambda state: dict(list(state.items())[:5]),
    lambda state: {**state, "extra.weight": torch.zeros(3)},
    lambda state: {**state, first(state): state[first(state)][:1]},
    lambda state: {**state, first(state): state[first(state)].to(torch.complex64)},
    lambda state: {**state, first(state): state[first(state)].long()},
    lambda state: {**state, first(state): state[first(state)] * float("nan")},
    lambda state: {**state, first(state): state[first(state)].to_sparse()},
    lambda state: {**state, first(state): [1.0]},
    lambda state: [state],
    lambda state: state[first(state)],
    lambda state: None,
])  # fmt: skip
def test_weights_that_do_not_fit_are_refused_with_their_file(encoder, tmp_path, change):
    folder = shutil.copytree(encoder, tmp_path / "m")
    path = folder / "embedding_model.ckpt"
    torch.save(change(torch.load(encoder / "embedding_model.ckpt", weights_only=True)), path)
    with pytest.raises(InputError, match=str(path)):
        load_encoder(str(folder), "cpu")


def test_the_message_counts_missing_parameters(tmp_path):
    net = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    state = {name: w for name, w in net.state_dict().items() if not name.startswith("1.")}
    with pytest.raises(InputError, match=r"x\.pt: 2 of 8"):
        matching(net, state, "x.pt")


def small_fusion():
    net = Fusion(6, 5, FusionOptions(size=4))
    return FUSION, net, net.description


def small_family():
    net = make_family((6, 5), {"people": 3}, AssociationOptions(size=4))
    return ASSOCIATION, net, net.description


def small_media_network():
    net = MediaNetwork(TrunkOptions(96, 0.05, (1, 1, 1), 8), True, {"people": 3}, AssociationOptions(size=4))
    return ASSOCIATION_MEDIA, net, net.description


def small_avn_f():
    options = AVNFOptions(channels=4, trunk_channels=(4, 4, 4, 4), blocks=(1, 1, 1, 1), embedding_size=8)
    return AVN_F, AVNF(options), {"options": asdict(options), "crop_seconds": 2.0}


def small_syncnet():
    description = {"kind": "syncnet", "size": 8, "width": 0.05, "threshold": 0.5}
    return SYNCHRONY, NETWORKS["syncnet"](8, 0.05), description


def small_coupled_cnn():
    description = {"kind": "coupled_cnn", "size": 8, "width": 0.05, "threshold": None}
    return SYNCHRONY, NETWORKS["coupled_cnn"](8, 0.05), description


NETWORK_FILES = [small_fusion, small_family, small_media_network, small_avn_f, small_syncnet, small_coupled_cnn]


WRONG = (-1, 1 << 40, "x", None, [], float("nan"), {})


def tensors(path):
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


@pytest.mark.parametrize("make", NETWORK_FILES)
def test_every_network_file_is_read_completely_or_refused(tmp_path, make):
    kind, net, description = make()
    save(tmp_path, kind, net, description)
    path = kind.path(tmp_path)
    state, metadata = tensors(path)
    again, restored = load(tmp_path, kind)
    assert restored == json.loads(json.dumps(description))
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.state_dict().items())
    save_file({f"module.{name}": w for name, w in state.items()}, path, metadata)
    load(tmp_path, kind)
    name = max(state, key=lambda name: state[name].numel())
    network = json.loads(metadata["network"])
    for damaged, written in (
        ({}, network), ({**state, "x": torch.zeros(1)}, network),
        ({n: w for n, w in state.items() if n != name}, network),
        ({**state, name: torch.zeros(3)}, network), ({**state, name: state[name] * float("inf")}, network),
        (state, {}), (state, []), (state, None), (state, "x"),
        *((state, {**network, key: wrong}) for key in network for wrong in WRONG),
    ):  # fmt: skip
        if written == {**network, "threshold": None}:
            continue
        save_file(damaged, path, {"network": json.dumps(written)})
        try:
            load(tmp_path, kind)
        except InputError as error:
            assert str(path) in str(error)
        else:  # an equally valid value: -1 for a threshold
            assert damaged is state and set(written) == set(network)
    for data in (b"", POINTER, PAGE, path.read_bytes()[:-9], b"\xff" * 40, (1 << 40).to_bytes(8, "little") * 9):
        path.write_bytes(data)
        with pytest.raises(InputError, match=str(path)):
            load(tmp_path, kind)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(InputError, match=str(path)):
        load(tmp_path, kind)


@pytest.mark.parametrize("read", [read_state, load_state])
@pytest.mark.parametrize("data", [b"", POINTER, PAGE, b"PK\x03\x04half", b"\x80\x02}q\x00.", b"\x80\x02]q\x00."])
def test_a_file_that_is_not_a_checkpoint_is_refused_without_unsafe_advice(tmp_path, read, data):
    path = tmp_path / "x.ckpt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=str(path)) as error:
        if not read(path):  # an empty dictionary is a checkpoint, but fits no network
            matching(torch.nn.Linear(1, 1), {}, path)
    assert "weights_only" not in str(error.value)


def test_weights_as_safetensors_are_the_same(encoder, tmp_path):
    folder = shutil.copytree(encoder, tmp_path / "m")
    save_file(torch.load(encoder / "embedding_model.ckpt", weights_only=True), folder / "embedding_model.ckpt")
    assert torch.equal(embed(folder), embed(encoder))
    data = (folder / "embedding_model.ckpt").read_bytes()
    (folder / "embedding_model.ckpt").write_bytes(data[:-9])
    with pytest.raises(InputError, match="embedding_model"):
        load_encoder(str(folder), "cpu")


def test_a_compressed_archive_is_refused(tmp_path):
    torch.save({"weight": torch.zeros(4_000_000)}, tmp_path / "x.pt")
    packed = zipfile.ZipFile(tmp_path / "y.pt", "w", zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(tmp_path / "x.pt") as old, packed as new:
        for entry in old.infolist():
            new.writestr(entry.filename, old.read(entry))
    assert read_state(tmp_path / "x.pt")["weight"].shape == (4_000_000,)
    with pytest.raises(InputError, match=r"y\.pt"):
        read_state(tmp_path / "y.pt")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_changed_description_builds_the_network_or_is_refused(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("w")
    fusion = Fusion(6, 5, FusionOptions(size=4))
    network = {"n_voice": 6, "n_face": 5, "options": asdict(fusion.options)}
    odd = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.lists(st.integers())
    target = data.draw(st.sampled_from([network, network["options"]]))
    target[data.draw(st.sampled_from(sorted(target)) | st.text(max_size=5))] = data.draw(odd)
    save_file(fusion.state_dict(), folder / "fusion.safetensors", {"network": json.dumps(network)})
    try:
        load(folder, FUSION)
    except InputError as error:
        assert "fusion.safetensors" in str(error)


def with_each_number_huge(value):
    """Copies of a description, each with one number replaced by a million."""
    if type(value) is int:
        yield 1 << 20
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        for changed in with_each_number_huge(inner):
            copy = value.copy()
            copy[key] = changed
            yield copy


@pytest.mark.parametrize("make", NETWORK_FILES)
def test_a_description_cannot_ask_for_a_million_layers(tmp_path, make):
    kind, net, description = make()
    save(tmp_path, kind, net, description)
    path = kind.path(tmp_path)
    state, metadata = tensors(path)
    for network in with_each_number_huge(json.loads(metadata["network"])):
        save_file(state, path, {"network": json.dumps(network)})
        begun = time.monotonic()
        with suppress(InputError):  # a number that makes no parameters may be anything
            load(tmp_path, kind)
        assert time.monotonic() - begun < 20, network
