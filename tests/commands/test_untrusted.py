"""Data directories and models of unknown origin: none of their code runs, and nothing is written outside OUT_DIR."""

import json
import os
import pickle
import shutil

import av
import numpy as np
import onnx
import pytest
import soundfile
import torch

from avsv.errors import InputError
from avsv.features.face_pack import load_pack
from avsv.kaldi.tables import read_table, write_table
from avsv.media.images import read_frames
from avsv.media.waveforms import read_waveform
from avsv.models.hyperparams import Hyperparams
from avsv.models.speechbrain_folder import load_encoder
from avsv.training.checkpoints import load_state
from tests.face_packs import draw_clip
from tests.media.hostile import movie_bytes, speech


class Bomb:
    """An object that makes a folder when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path):
    """The folder that malicious data try to make."""
    return tmp_path / "it-ran"


@pytest.fixture
def piped(tmp_path, mark):
    """A data directory with a command in every media table."""
    folder = tmp_path / "data"
    for table in ("wav.scp", "video.scp", "feats.scp", "vad.scp", "faces.scp"):
        write_table(folder / table, {"a-1": f"mkdir {mark} |"})
    write_table(folder / "utt2spk", {"a-1": "a"})
    write_table(folder / "spk2utt", {"a": "a-1"})
    return folder


def test_commands_in_a_data_directory_do_not_run(avsv, piped, pack, encoder, world, mark, tmp_path):
    out = ("--max-skipped", 1, piped, tmp_path / "out")
    (tmp_path / "pipe.scp").write_text(f"test00-0 mkdir {mark} |\n")
    for command in (("features", *out), ("embed-voice", "--model", encoder, *out),
                    ("embed-face", "--model", pack, *out),
                    ("align-faces", "--model", pack, *out), ("check", piped), ("fix", piped),
                    ("damage", "--condition", "gaussian-blur", "--listen", 5, piped, tmp_path / "noisy"),
                    ("damage", "--condition", "speed", "--noises", piped, "--listen", 5, piped, tmp_path / "noisy2"),
                    ("score", "--trials", world.trials, "--enroll", tmp_path / "pipe.scp", tmp_path / "scores"),
                    ("import-embeddings", tmp_path / "pipe.scp", tmp_path / "imported")):  # fmt: skip
        avsv(*command)
        assert not mark.exists(), command
    avsv("features", "--allow-pipes", "--max-skipped", 1, piped, tmp_path / "allowed")
    assert mark.exists()  # proves that the command works when it is allowed


def test_names_with_slashes_write_nothing_outside_the_output(avsv, pack, encoder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = "work/data"
    names = ["../../a-1", "/a-2", "a/../../a-3"]
    (tmp_path / "media").mkdir()
    soundfile.write("media/x.wav", speech(1), 16000)
    draw_clip(tmp_path / "media" / "faces", 0)
    write_table("work/data/wav.scp", dict.fromkeys(names, "work/../media/x.wav"))
    write_table("work/data/video.scp", dict.fromkeys(names, str(tmp_path / "media" / "faces")))
    write_table("work/data/utt2spk", dict.fromkeys(names, "a"))
    before = {path for path in tmp_path.rglob("*") if "work" not in path.parts}
    listen = ("--listen", 3, data)
    for command in (("features", data, "work/fbank"), ("embed-voice", "--model", encoder, data, "work/voice"),
                    ("embed-face", "--model", pack, data, "work/face"),
                    ("damage", "--condition", "gaussian-blur", *listen, "work/noisy"),
                    ("damage", "--condition", "speed", "--noises", data, *listen, "work/fast")):  # fmt: skip
        status, output = avsv(*command)
        assert status == 0, output
    assert read_table("work/fbank/feats.scp").keys() == set(names)
    assert len(list((tmp_path / "work/noisy/listen").iterdir())) == 3
    assert {path for path in tmp_path.rglob("*") if "work" not in path.parts} == before


def test_a_playlist_with_the_name_of_a_video_opens_no_other_file(tmp_path):
    (tmp_path / "real.mp4").write_bytes(movie_bytes(speech(1), 5))
    concat, hls = tmp_path / "concat.mp4", tmp_path / "hls.mp4"
    concat.write_text("ffconcat version 1.0\nfile real.mp4\n")
    hls.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nreal.mp4\n#EXT-X-ENDLIST\n")
    with av.open(str(concat)) as container:  # ffmpeg alone would follow the playlist
        assert container.format.name == "concat"
    for path in (concat, hls):
        for read in (lambda path: read_frames(path, 1), read_waveform):
            with pytest.raises(InputError, match=path.name):
                read(str(path))


def test_a_pickled_checkpoint_does_not_run(tmp_path, mark):
    for name, write in (("pickle.pt", pickle.dump), ("torch.pt", torch.save)):
        with open(tmp_path / name, "wb") as out:
            write({"model": Bomb(mark)}, out)
        with pytest.raises(InputError, match=name):
            load_state(tmp_path / name)
    assert not mark.exists()


def test_a_pickle_in_a_speaker_encoder_does_not_run(avsv, encoder, tmp_path, mark):
    soundfile.write(tmp_path / "x.wav", speech(1), 16000)
    write_table(tmp_path / "data" / "wav.scp", {"a-1": str(tmp_path / "x.wav")})
    write_table(tmp_path / "data" / "utt2spk", {"a-1": "a"})
    for name, status in (("embedding_model.ckpt", 1), ("classifier.ckpt", 0)):  # the classifier is never read
        shutil.copytree(encoder, tmp_path / name)
        torch.save(Bomb(mark), tmp_path / name / name)
        result, output = avsv("embed-voice", "--model", tmp_path / name, tmp_path / "data", tmp_path / f"out-{name}")
        assert result == status and not mark.exists(), output
        assert "weights_only" not in output and (status == 0 or f"{tmp_path / name / name}: " in output)


@pytest.mark.parametrize("line", [
    "x: !apply:os.mkdir [MARK]", "x: !new:subprocess.Popen [[mkdir, MARK]]", "x: !name:os.mkdir",
    "x: !module:antigravity", "x: !!python/object/apply:os.mkdir [MARK]", "x: !include:other.yaml",
    "x: !new:speechbrain.utils.superpowers.run_shell [mkdir MARK]", "x: !new:torch.nn.utils.parametrize.cached",
])  # fmt: skip
def test_a_speechbrain_folder_that_calls_other_code_is_refused(encoder, tmp_path, mark, line):
    folder = shutil.copytree(encoder, tmp_path / "model")
    with open(folder / "hyperparams.yaml", "a") as out:
        out.write(line.replace("MARK", str(mark)) + "\n")
    with pytest.raises(InputError, match=r"hyperparams\.yaml, line \d+"):
        load_encoder(str(folder), "cpu")
    assert not mark.exists()


@pytest.mark.parametrize(
    "place", ["https://example.org/model.ckpt", "!ref <pretrained_path>/../../model.ckpt", "a/b/c"]
)
def test_weights_outside_the_model_folder_are_refused(encoder, tmp_path, place):
    text = (encoder / "hyperparams.yaml").read_text()
    assert text.splitlines()[-1].startswith("        ")  # the pretrainer's last file
    for given in ("!ref <pretrained_path>/embedding_model.ckpt", place):
        (tmp_path / "h.yaml").write_text(f"{text}    paths:\n        embedding_model: {given}\n")
        if given != place:
            Hyperparams(tmp_path / "h.yaml")
    with pytest.raises(InputError, match=r"h\.yaml"):
        Hyperparams(tmp_path / "h.yaml")


def test_the_tags_of_published_speaker_encoders_are_accepted(tmp_path):
    """These are the tags of SpeechBrain's spkrec-ecapa, spkrec-xvect and spkrec-resnet models."""
    (tmp_path / "h.yaml").write_text("""
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 80
mean_var_norm: !new:speechbrain.processing.features.InputNormalization
    norm_type: sentence
one: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN
    channels: [1024, 1024]
two: !new:speechbrain.lobes.models.Xvector.Xvector
    activation: !name:torch.nn.LeakyReLU
three: !new:speechbrain.lobes.models.ResNet.ResNet
classifier: !new:speechbrain.lobes.models.Xvector.Classifier
label_encoder: !new:speechbrain.dataio.encoder.CategoricalEncoder
pretrained_path: speechbrain/spkrec-ecapa-voxceleb
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables:
        embedding_model: !ref <one>
    paths:
        embedding_model: !ref <pretrained_path>/embedding_model.ckpt
""")
    Hyperparams(tmp_path / "h.yaml")


def test_a_network_with_weights_outside_its_folder_is_refused(pack, tmp_path):
    folder = tmp_path / "inner" / "pack"
    folder.mkdir(parents=True)
    model = onnx.load(pack / "recognition.onnx")
    weights = max(model.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    (tmp_path / "secret").write_bytes(weights.raw_data)
    weights.ClearField("raw_data")
    weights.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", "../../secret"), ("offset", "0")):
        entry = weights.external_data.add()
        entry.key, entry.value = key, value
    (folder / "recognition.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"recognition\.onnx: takes the weights"):
        load_pack(folder, tasks=("recognition",))


@pytest.mark.parametrize("head", [b"\xff" * 8, (1 << 40).to_bytes(8, "little"), (90).to_bytes(8, "little") + b"[" * 90,
                                  (60).to_bytes(8, "little") + json.dumps({"a": {"dtype": "F32", "shape": [1 << 40],
                                  "data_offsets": [0, 1 << 42]}}).encode().ljust(60)])  # fmt: skip
def test_a_safetensors_file_with_impossible_sizes_is_refused(avsv, world, tmp_path, head):
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "fusion.safetensors").write_bytes(head + bytes(100))
    status, output = avsv("embed-pair", "--model", tmp_path / "exp", "--voice", world.test, "--face", world.test,
                        tmp_path / "out")  # fmt: skip
    assert status == 1 and "fusion.safetensors" in output


def test_arrays_of_objects_are_not_unpickled(avsv, tmp_path, mark):
    np.savez(tmp_path / "x.npz", a=np.array([Bomb(mark)], dtype=object))
    np.save(tmp_path / "x.npy", np.array([Bomb(mark)], dtype=object))
    for name in ("x.npz", "x.npy"):
        status, output = avsv("import-embeddings", tmp_path / name, tmp_path / "out")
        assert status == 1 and "can run any program" in output and not mark.exists()
