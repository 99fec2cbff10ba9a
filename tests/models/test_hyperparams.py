"""hyperparams.yaml as data: published models give the same networks as in SpeechBrain, and no code is ever run."""

import os
import pathlib
import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from avsv.errors import InputError
from avsv.models.hyperparams import Hyperparams, read_recipe
from avsv.models.speechbrain_folder import encoder_files, load_encoder
from avsv.models.speechbrain_library import import_speechbrain

# small versions of SpeechBrain's spkrec-ecapa-voxceleb, spkrec-xvect-voxceleb and spkrec-resnet-voxceleb
NETWORKS = {
    "ecapa": """!new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    input_size: !ref <n_mels>
    channels: [8, 8, 8, 8, !ref <width> * 3]
    kernel_sizes: [5, 3, 3, 3, 1]
    dilations: [1, 2, 3, 4, 1]
    groups: [1, 1, 1, 1, 1]
    attention_channels: 4
    lin_neurons: 6
    res2net_scale: 2
    activation: !name:torch.nn.LeakyReLU""",
    "xvect": """!new:speechbrain.lobes.models.Xvector.Xvector
    in_channels: !ref <n_mels>
    activation: !name:torch.nn.LeakyReLU
    tdnn_blocks: 5
    tdnn_channels: [8, 8, 8, 8, !ref <width> * 3]
    tdnn_kernel_sizes: [5, 3, 3, 1, 1]
    tdnn_dilations: [1, 2, 3, 1, 1]
    lin_neurons: 6""",
    "resnet": """!new:speechbrain.lobes.models.ResNet.ResNet
    input_size: !ref <n_mels>
    channels: [4, 4, 8, 8]
    strides: [1, 2, 2, 2]
    block_sizes: [1, 1, 1, 1]
    lin_neurons: 6""",
}
FILE = """
n_mels: MELS
width: 8
sample_rate: 16000
pretrained_path: speechbrain/somewhere-else
out_n_neurons: 3
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: !ref <n_mels>
    left_frames: 0
    right_frames: 0
    deltas: False
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
    std_norm: False
embedding_model: NETWORK
mean_var_norm_emb: !new:speechbrain.processing.features.InputNormalization
    norm_type: global
    std_norm: False
classifier: !new:speechbrain.lobes.models.ECAPA_TDNN.Classifier
    input_size: 6
    out_neurons: !ref <out_n_neurons>
modules:
    compute_features: !ref <compute_features>
    mean_var_norm: !ref <mean_var_norm>
    embedding_model: !ref <embedding_model>
    classifier: !ref <classifier>
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <embedding_model>
"""
PATHS = """    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
"""


def file_of(kind, paths=True):
    return FILE.replace("NETWORK", NETWORKS[kind]).replace("MELS", "24" if kind == "xvect" else "80") + PATHS * paths


def theirs_of(folder, text):
    """SpeechBrain's own encoder of these hyperparams, its weights written to the folder."""
    import_speechbrain()
    from hyperpyyaml import load_hyperpyyaml

    torch.manual_seed(0)
    built = load_hyperpyyaml(text)
    net = built["embedding_model"]
    for module in net.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    folder.mkdir(exist_ok=True)
    torch.save(net.state_dict(), folder / "embedding_model.ckpt")
    (folder / "hyperparams.yaml").write_text(text)
    net.eval()

    def encode(waveforms):
        features = built["mean_var_norm"].eval()(built["compute_features"](waveforms), torch.ones(len(waveforms)))
        with torch.no_grad():
            return net(features, torch.ones(len(waveforms)))

    return encode


@pytest.mark.parametrize("paths", [True, False])
@pytest.mark.parametrize("kind", NETWORKS)
def test_published_models_give_speechbrains_embeddings(tmp_path, kind, paths):
    """Without paths, the file is named after the loadable, as in SpeechBrain."""
    encode = theirs_of(tmp_path / "m", file_of(kind, paths))
    waveforms = torch.from_numpy(np.random.default_rng(0).normal(0, 0.1, (1, 24000)).astype(np.float32))
    ours, theirs = load_encoder(str(tmp_path / "m"), "cpu").encode_batch(waveforms), encode(waveforms).reshape(1, 1, -1)
    assert ours.shape == (1, 1, 6)
    if kind == "xvect":  # SpeechBrain adds noise between 1e-5 and 9e-5 to the mean
        assert torch.nn.functional.cosine_similarity(ours, theirs, dim=-1).item() > 1 - 1e-6
        assert torch.equal(ours, load_encoder(str(tmp_path / "m"), "cpu").encode_batch(waveforms))
    else:
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize("kind", NETWORKS)
def test_every_published_model_embeds_clips(avsv, tmp_path, tone, kind):
    theirs_of(tmp_path / "m", file_of(kind))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "wav.scp").write_text(f"a-1 {tone('x.wav')}\n")
    (tmp_path / "d" / "utt2spk").write_text("a-1 a\n")
    status, message = avsv("embed-voice", "--model", tmp_path / "m", tmp_path / "d", tmp_path / "out")
    assert status == 0, message


def test_the_files_read_are_those_listed(tmp_path):
    theirs_of(tmp_path / "m", file_of("resnet").replace("/embedding_model.ckpt", "/weights/net.ckpt"))
    (tmp_path / "m" / "weights").mkdir()
    os.rename(tmp_path / "m" / "embedding_model.ckpt", tmp_path / "m" / "weights" / "net.ckpt")
    (tmp_path / "m" / "classifier.ckpt").write_text("not read")
    (tmp_path / "m" / "label_encoder.txt").write_text("not read")
    names = [path.relative_to(tmp_path / "m").as_posix() for path in encoder_files(str(tmp_path / "m"))]
    assert names == ["hyperparams.yaml", "weights/net.ckpt"]
    load_encoder(str(tmp_path / "m"), "cpu")


ATTACKS = ["(!!python/object/apply:os.mkdir ['MARK'], 1)", "!tuple (!!python/object/apply:os.mkdir ['MARK'], 1)",
           "!ref <n_mels.__class__.__base__>", "!ref <os.mkdir>", "!ref __import__('os').mkdir('MARK')",
           "!ref <n_mels> * __import__('os').mkdir('MARK')", "!copy <n_mels.x>", "$(mkdir MARK)",
           "!apply:os.mkdir ['MARK']", "!new:os.mkdir ['MARK']", "!name:os.mkdir", "!include:other.yaml",
           "!module:antigravity", "!!python/object/apply:os.mkdir ['MARK']", "!!python/name:os.mkdir",
           "!ref 9 ** 9 ** 9", "!ref <n_mels> * <n_mels> * 1e300"]  # fmt: skip


@pytest.mark.parametrize("where", ["x: ", "n_mels: ", "    lin_neurons: ", "    n_mels: "])
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_in_the_file_runs(tmp_path, attack, where):
    mark = tmp_path / "it-ran"
    lines = [line for line in file_of("resnet").split("\n") if not line.startswith(where)]
    place = 0 if not where.startswith(" ") else lines.index("    input_size: !ref <n_mels>") + 1
    if where == "    n_mels: ":
        place = lines.index("compute_features: !new:speechbrain.lobes.features.Fbank") + 1
    lines.insert(place, where + attack.replace("MARK", str(mark)))
    (tmp_path / "hyperparams.yaml").write_text("\n".join(lines))
    (tmp_path / "other.yaml").write_text("y: 1")
    (tmp_path / "embedding_model.ckpt").write_bytes(b"")
    with pytest.raises(InputError):
        load_encoder(str(tmp_path), "cpu")
    assert not mark.exists()


@pytest.mark.parametrize(("old", "new"), [
    ("lobes.models.ResNet.ResNet", "lobes.models.ResNet.Classifier"), ("lin_neurons: 6", "lin_neurons: 6.5"),
    ("lin_neurons: 6", "lin_neurons: -6"), ("lin_neurons: 6", "lin_neurons: 99999999"),
    ("[4, 4, 8, 8]", "four"), ("lin_neurons: 6", "lin_neurons: 6\n    surprise: 1"),
    ("norm_type: sentence", "norm_type: global"), ("sample_rate: 16000", "sample_rate: 8000"),
    ("n_mels: 80", "n_mels: !ref <n_mels>"), ("lin_neurons: 6", "lin_neurons: !ref <absent>"),
    ("lobes.features.Fbank", "lobes.features.MFCC"), ("channels: [4, 4, 8, 8]", "channels: [4, 4, 8]"),
    ("width: 8", "width: &a [1, 1]\nv: &b [*a, *a, *a]\nw: [*b, *b, *b, *b, *b, *b, *b, *b, *b]"),
    ("width: 8", "width: 8\nwidth: 9"), ("width: 8", "width: " + "[" * 200 + "]" * 200),
])  # fmt: skip
def test_an_unrecognised_part_is_refused_with_its_file(tmp_path, old, new):
    theirs_of(tmp_path, file_of("resnet"))
    text = file_of("resnet")
    assert old in text
    (tmp_path / "hyperparams.yaml").write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=str(tmp_path)):
        load_encoder(str(tmp_path), "cpu")


BRANCHING = "\n".join(f"k{n}: !ref <k{n + 1}>" + f" + <k{n + 1}>" * 30 for n in range(8)) + "\nk8: 1e-30"
NESTED = "\n".join(f"k{n}: [{', '.join([f'!ref <k{n + 1}>'] * 40)}]" for n in range(8)) + "\nk8: 1"


@pytest.mark.parametrize(("kind", "old", "new"), [
    ("resnet", "lin_neurons: 6", f"lin_neurons: !ref <k0>\n{BRANCHING}"),
    ("resnet", "channels: [4, 4, 8, 8]", f"channels: !ref <k0>\n{NESTED}"),
    ("resnet", "block_sizes: [1, 1, 1, 1]", "block_sizes: [9999, 9999, 9999, 9999]"),
    ("ecapa", "res2net_scale: 2", "res2net_scale: 16384"), ("xvect", "tdnn_blocks: 5", "tdnn_blocks: 16384"),
    ("resnet", "left_frames: 0", "context: True\n    left_frames: 9999"),
    ("resnet", "left_frames: 0", "hop_length: 0.0625"), ("resnet", "left_frames: 0", "n_fft: 16384"),
])  # fmt: skip
def test_a_small_file_cannot_demand_hours_or_gigabytes(tmp_path, kind, old, new):
    text = file_of(kind)
    assert old in text
    head, _, after = new.partition("\nk0:")
    (tmp_path / "hyperparams.yaml").write_text(text.replace(old, head, 1) + (f"k0:{after}\n" if after else ""))
    begun = time.monotonic()
    with pytest.raises(InputError, match=r"hyperparams.yaml, line \d+: ") as caught:
        read_recipe(tmp_path / "hyperparams.yaml")
    assert time.monotonic() - begun < 10 and len(str(caught.value)) < 1000


def test_a_folder_with_its_own_code_needs_trust(avsv, tmp_path, tone, monkeypatch):
    theirs_of(tmp_path / "m", file_of("resnet"))
    mark = tmp_path / "it-ran"
    with open(tmp_path / "m" / "hyperparams.yaml", "a") as out:
        out.write(f"x: !apply:os.mkdir ['{mark}']\n")
    (tmp_path / "m" / "hyperparams.yaml").write_text(
        (tmp_path / "m" / "hyperparams.yaml").read_text().replace("label_encoder: !new", "other: !new")
    )
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "wav.scp").write_text(f"a-1 {tone('x.wav')}\n")
    (tmp_path / "d" / "utt2spk").write_text("a-1 a\n")
    command = ("embed-voice", "--model", tmp_path / "m", tmp_path / "d", tmp_path / "out")
    status, message = avsv(*command)
    assert status == 1 and "!apply:os.mkdir" in message and "--trust-model" in message and not mark.exists()
    status, message = avsv(*command, "--trust-model")
    assert status == 0 and mark.exists(), message


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_file_is_a_recipe_or_refused(tmp_path_factory, data):
    """A published file with lines changed, dropped, doubled or replaced by random text."""
    folder: pathlib.Path = tmp_path_factory.mktemp("h")
    lines = file_of(data.draw(st.sampled_from(sorted(NETWORKS)))).split("\n")
    pieces = st.sampled_from(
        [
            "!ref <n_mels>",
            "!ref <",
            "[1, 2]",
            "{a: b}",
            "!new:x.y",
            "&a",
            "*a",
            "null",
            "1e999",
            "-1",
            "(1)",
            "!tuple",
            "<<: {}",
            "? [a]",
            "\t",
            "---",
            "%TAG",
        ]
    ) | st.text(max_size=9)
    for _ in range(data.draw(st.integers(1, 4))):
        row = data.draw(st.integers(0, len(lines) - 1))
        key = lines[row].split(":")[0]
        lines[row] = data.draw(st.sampled_from([f"{key}: ", "", lines[row], lines[row] + "\n" + lines[row]]))
        lines[row] += data.draw(pieces)
    (folder / "hyperparams.yaml").write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    try:
        recipe = read_recipe(folder / "hyperparams.yaml")
    except InputError:
        return
    assert (folder / recipe.weights).resolve().is_relative_to(folder.resolve())


def test_references_and_arithmetic_give_plain_numbers(tmp_path):
    (tmp_path / "h.yaml").write_text("a: 512\nb: !ref <a> * 2\nc: !ref (<a> + 256) // <b>\nd: [!ref <b>, !ref <a>]\n"
                                     "e: !ref <f>\nf: !ref <e>\ng: !ref <a>/x\n")  # fmt: skip
    file = Hyperparams(tmp_path / "h.yaml")
    assert [file.value(file.keys[key]) for key in "abcdg"] == [512, 1024, 0, [1024, 512], "512/x"]
    with pytest.raises(InputError, match=r"h\.yaml, line \d+: "):
        file.value(file.keys["e"])


@pytest.mark.parametrize(("source", "revision"), [("some/model", None), ("some/model@0123abc", "0123abc")])
def test_a_published_model_is_fetched_file_by_file_at_its_revision(tmp_path, monkeypatch, source, revision):
    theirs_of(tmp_path / "hub", file_of("resnet"))
    monkeypatch.setenv("HOME", str(tmp_path))
    fetched = []

    def fetch(name, of, savedir, fetch_config):
        fetched.append((name, of, fetch_config.revision))
        pathlib.Path(savedir).mkdir(parents=True, exist_ok=True)
        target = pathlib.Path(savedir) / name
        target.write_bytes((tmp_path / "hub" / name).read_bytes())  # OSError if the hub has no such file
        return target

    monkeypatch.setattr("speechbrain.utils.fetching.fetch", fetch)
    assert load_encoder(source, "cpu").encode_batch(torch.zeros(1, 16000)).shape == (1, 1, 6)
    assert fetched == [(name, "some/model", revision) for name in ("hyperparams.yaml", "embedding_model.ckpt")]
    assert (tmp_path / ".cache" / "avsv" / source.replace("/", "--") / "embedding_model.ckpt").exists()
