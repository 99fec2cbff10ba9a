"""Voice encoders in ONNX files give what their networks give, whatever the batch and the length."""

import threading

import numpy as np
import onnxruntime
import pytest
import torch

from avsv.embeddings.voice import load_voice_encoder
from avsv.errors import InputError
from avsv.features.voice_inputs import FRONT_ENDS
from avsv.kaldi.matrices import write_array
from avsv.models.onnx_encoder import as_onnx
from avsv.models.speaker_encoders import ecapa_arguments, make_speaker_encoder
from tests.models.onnx_encoders import SHAPES, SIZE, external, speechlike, write_network, write_settings


def relative(found, expected):
    return np.abs(found - expected).max() / np.linalg.norm(expected)


@pytest.fixture
def ecapa(tmp_path):
    """A small ECAPA-TDNN, and a function that exports it for a front end: (network, write(front end) -> path)."""
    networks = {}

    def write(name):
        torch.manual_seed(0)
        bands = 72 if name == "redimnet2" else 80
        network = networks[name] = make_speaker_encoder("ecapa", ecapa_arguments(bands, 8, 4, 6)).eval()
        path = tmp_path / f"{name}.onnx"
        if name == "redimnet2":  # 1 x 1 x bands x frames
            outer = torch.nn.Sequential(Turned(), network, torch.nn.Flatten()).eval()
            torch.onnx.export(outer, (torch.zeros(1, 1, 72, 60),), str(path), input_names=["features"],
                              output_names=["embedding"], dynamic_axes={"features": {3: "T"}}, opset_version=17,
                              dynamo=False)  # fmt: skip
        else:
            path.write_bytes(as_onnx(network, 80))
        return write_settings(path, f"front_end: {name}\nsize: 6\n")

    return networks, write


class Turned(torch.nn.Module):
    def forward(self, features):
        return features.squeeze(1).transpose(1, 2)


@pytest.mark.filterwarnings("ignore")  # of torch's exporter
@pytest.mark.parametrize("name", ["wespeaker", "redimnet2", "3d-speaker"])
def test_an_encoder_of_our_own_run_back_in_equals_the_direct_network(ecapa, name):
    networks, write = ecapa
    encoder = load_voice_encoder(write(name))
    for n in (16000, 21234, 80000):
        features = torch.from_numpy(FRONT_ENDS[name].compute(speechlike(n, n)))
        with torch.inference_mode():
            expected = networks[name](Turned()(features) if name == "redimnet2" else features).numpy().reshape(-1)
        assert relative(encoder([speechlike(n, n)])[0], expected) < 1e-5


@pytest.mark.parametrize(("name", "window", "scale"), [("wespeaker", "hamming", 32768), ("3d-speaker", "povey", 1)])
def test_embeddings_equal_a_session_on_features_of_kaldi_native_fbank(tmp_path, name, window, scale):
    knf = pytest.importorskip("kaldi_native_fbank")
    options = knf.FbankOptions()
    options.frame_opts.dither, options.frame_opts.window_type, options.mel_opts.num_bins = 0.0, window, 80
    options.mel_opts.high_freq = 0
    computer = knf.OnlineFbank(options)
    computer.accept_waveform(16000, speechlike(30000) * scale)
    computer.input_finished()
    frames = np.stack([computer.get_frame(frame) for frame in range(computer.num_frames_ready)])
    path = write_settings(write_network(tmp_path / "net.onnx", name), f"front_end: {name}")
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    expected = session.run(None, {"x": (frames - frames.mean(axis=0))[None]})[0][0]
    assert relative(load_voice_encoder(path)([speechlike(30000)])[0], expected) < 1e-4


@pytest.mark.parametrize("name", SHAPES)
def test_batches_lengths_and_threads_do_not_change_an_embedding(tmp_path, name):
    path = write_settings(write_network(tmp_path / "net.onnx", name), f"front_end: {name}")
    encoder = load_voice_encoder(tmp_path)
    waveforms = [speechlike(n, n) for n in (16000, 50001, 16160, 16000)]
    together, alone = encoder(waveforms), np.stack([encoder([waveform])[0] for waveform in waveforms])
    assert encoder.size == SIZE and together.dtype == np.float32 and together.shape == (4, SIZE)
    assert (together == alone).all() and (encoder(waveforms[::-1])[::-1] == together).all()
    found = {}
    threads = [threading.Thread(target=lambda row: found.update({row: encoder([waveforms[row]])[0]}), args=(row,))
               for row in range(4)]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((found[row] == together[row]).all() for row in range(4))
    assert (load_voice_encoder(path)(waveforms) == together).all()


@pytest.mark.parametrize(("name", "longest"), [("redimnet2", 30), ("wespeaker", 150)])
def test_a_long_waveform_is_the_mean_of_its_parts_by_length(tmp_path, name, longest):
    encoder = load_voice_encoder(write_settings(write_network(tmp_path / "net.onnx", name), f"front_end: {name}"))
    waveform = speechlike(longest * 16000 + 1)
    half = (len(waveform) + 1) // 2
    parts = [waveform[:half], waveform[half:]]
    expected = np.average(encoder(parts), axis=0, weights=[len(part) for part in parts])
    assert relative(encoder([waveform])[0], expected) < 1e-6
    one = waveform[: longest * 16000]
    assert relative(encoder([one])[0], encoder.run(one)) < 1e-6


@pytest.mark.parametrize(("name", "n"), [("redimnet2", 15999), ("wespeaker", 399)])
def test_a_waveform_that_is_too_short_is_refused(tmp_path, name, n):
    encoder = load_voice_encoder(write_settings(write_network(tmp_path / "net.onnx", name), f"front_end: {name}"))
    with pytest.raises(InputError, match=r"net\.onnx"):
        encoder([speechlike(n)])
    assert encoder([speechlike(16000)]).shape == (1, SIZE)


@pytest.mark.parametrize("form", ["npy", "vec"])
def test_the_mean_embedding_is_subtracted(tmp_path, form):
    path = write_settings(write_network(tmp_path / "net.onnx"), "front_end: wespeaker")
    raw, mean = load_voice_encoder(path)([speechlike(20000)]), np.arange(SIZE, dtype=np.float32)
    np.save(tmp_path / "mean.npy", mean)
    write_array(tmp_path / "mean.vec", mean)
    write_settings(path, f"front_end: wespeaker\nmean: mean.{form}\n")
    assert load_voice_encoder(path)([speechlike(20000)]) == pytest.approx(raw - mean, rel=1e-6)


@pytest.mark.parametrize("mean", [np.zeros(4), np.zeros((1, SIZE)), np.full(SIZE, np.nan), np.array(["a"] * SIZE)])
def test_a_mean_of_another_form_is_refused(tmp_path, mean):
    np.save(tmp_path / "mean.npy", mean)
    path = write_settings(write_network(tmp_path / "net.onnx"), "front_end: wespeaker\nmean: mean.npy")
    with pytest.raises(InputError, match=r"mean\.npy|net\.yaml"):
        load_voice_encoder(path)


def test_an_absent_mean_is_named(tmp_path):
    path = write_settings(write_network(tmp_path / "net.onnx"), "front_end: wespeaker\nmean: none.npy")
    with pytest.raises(InputError, match=r"none\.npy"):
        load_voice_encoder(path)


def test_nemo_gets_padded_features_and_the_number_of_real_frames(tmp_path):
    from onnx import TensorProto, helper

    from tests.models.onnx_encoders import node

    nodes = [  # the sum over all frames, divided by the number that the second input says; and the padded length
        node("ReduceSum", ["x", "time"], ["sum"], keepdims=0), node("Cast", ["length"], ["n"], to=TensorProto.FLOAT),
        node("Div", ["sum", "n"], ["mean"]), node("Abs", ["x"], ["abs"]), node("Shape", ["x"], ["shape"]),
        node("Gather", ["shape", "last"], ["frames"]), node("Cast", ["frames"], ["padded"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["n", "last"], ["rows"]), node("Unsqueeze", ["padded", "first"], ["columns"]),
        node("Concat", ["rows", "columns"], ["embedding"], axis=1), node("Identity", ["mean"], ["logits"]),
        node("Constant", [], ["time"], value=helper.make_tensor("t", TensorProto.INT64, [1], [2])),
        node("Constant", [], ["last"], value=helper.make_tensor("t", TensorProto.INT64, [1], [2])),
        node("Constant", [], ["first"], value=helper.make_tensor("t", TensorProto.INT64, [1], [0]))]  # fmt: skip
    nodes = nodes[-3:] + nodes[:-3]
    nodes[next(i for i, n in enumerate(nodes) if list(n.output) == ["rows"])].input[1] = "one"
    nodes.insert(0, node("Constant", [], ["one"], value=helper.make_tensor("t", TensorProto.INT64, [1], [1])))
    length = helper.make_tensor_value_info("length", TensorProto.INT64, ["B"])
    path = write_network(tmp_path / "net.onnx", "nemo", nodes, outputs=("logits", "embedding"), inputs=[length])
    encoder = load_voice_encoder(write_settings(path, "front_end: nemo"))
    assert encoder([speechlike(16000), speechlike(25600)]).tolist() == [[100, 112], [160, 160]]


@pytest.mark.parametrize("name", ["weights.bin", "a.weights of a long name " + "x" * 100])
def test_weights_in_another_file_of_the_folder_are_read(tmp_path, name):
    matrix = np.random.default_rng(0).normal(0, 1, (80, SIZE)).astype(np.float32)
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / name).write_bytes(matrix.tobytes())
    outside = write_network(tmp_path / "p" / "net.onnx", weights=external(name, (80, SIZE)))
    inside = write_network(tmp_path / "q" / "net.onnx")
    found = [load_voice_encoder(write_settings(path, "front_end: wespeaker"))([speechlike(20000)])
             for path in (outside, inside)]  # fmt: skip
    assert (found[0] == found[1]).all()
