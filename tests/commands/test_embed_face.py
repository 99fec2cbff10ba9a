"""avsv align-faces and avsv embed-face, from the command line."""

import json
import shutil
import subprocess
import sys

import cv2
import kaldiio
import numpy as np
import pytest

from avsv.embeddings.face_pool import FacePool, save_face_pool
from avsv.errors import InputError
from avsv.features.face_pack import find_pack, load_pack
from avsv.features.faces import read_faces
from avsv.kaldi.matrices import read_entry
from avsv.kaldi.tables import read_table
from tests.face_packs import draw_clip


@pytest.fixture
def data(tmp_path):
    """Six clips with images, one of them without a face, and one clip with audio only."""
    folder = tmp_path / "data dir"
    clips = {f"p-{i}": draw_clip(folder / "media" / f"p-{i}", i) for i in range(5)}
    cv2.imwrite(str(folder / "dark.png"), np.zeros((140, 140, 3), np.uint8))
    clips["p-dark"] = folder / "dark.png"
    (folder / "video.scp").write_text("".join(f"{utt} {path}\n" for utt, path in sorted(clips.items())))
    (folder / "utt2spk").write_text("".join(f"{utt} p\n" for utt in sorted([*clips, "p-sound"])))
    return folder


def embeddings(out_dir):
    return kaldiio.load_scp(str(out_dir / "embedding.scp"))


def equal(a, b):
    a, b = embeddings(a), embeddings(b)
    return list(a) == list(b) and all(np.array_equal(a[utt], b[utt]) for utt in a)


ALLOW = ("--max-skipped", 0.5)


def test_faces_are_aligned_once_and_then_embedded(avsv, pack, data, tmp_path, caplog):
    caplog.set_level("INFO", logger="avsv")
    status, output = avsv("align-faces", "--model", pack, *ALLOW, data, tmp_path / "faces")
    assert status == 0, output
    faces = read_table(data / "faces.scp")
    assert list(faces) == [f"p-{i}" for i in range(5)] and read_faces(faces["p-0"]).shape == (3, 112, 112, 3)
    skipped = read_table(tmp_path / "faces" / "skipped")
    assert list(skipped) == ["p-dark"] and "almost black" in skipped["p-dark"]
    status, output = avsv("embed-face", "--model", pack, data, tmp_path / "out")
    assert status == 0 and "5 of 7 clips have a face in faces.scp" in caplog.text
    result = embeddings(tmp_path / "out")
    assert list(result) == list(faces)
    assert all(v.shape == (16,) and v.dtype == np.float32 and 0.5 < np.linalg.norm(v) <= 1.001 for v in result.values())
    assert read_table(tmp_path / "out" / "skipped") == {"p-dark": "no face was found by avsv align-faces"}


def test_without_faces_scp_embed_face_detects_faces_itself(avsv, pack, data, tmp_path, caplog):
    caplog.set_level("INFO", logger="avsv")
    status, _ = avsv("embed-face", "--model", pack, *ALLOW, data, tmp_path / "direct")
    assert status == 0 and "6 of 7 clips have a video or image" in caplog.text
    assert "skipped p-dark: no face" in caplog.text
    avsv("align-faces", "--model", pack, *ALLOW, data, tmp_path / "faces")
    avsv("embed-face", "--model", pack, data, tmp_path / "out")
    direct, archived = embeddings(tmp_path / "direct"), embeddings(tmp_path / "out")
    assert list(direct) == list(archived)
    for utt, vector in direct.items():  # the archive's JPEG compression costs a little
        assert vector @ archived[utt] > 0.98 * np.linalg.norm(vector) * np.linalg.norm(archived[utt])


def test_shards_and_repeated_runs_give_the_same_embeddings(avsv, pack, data, tmp_path, caplog):
    caplog.set_level("INFO", logger="avsv")
    for out_dir in ("one", "again"):
        avsv("embed-face", "--model", pack, *ALLOW, data, tmp_path / out_dir)
    for job in (1, 3, 2):
        status, output = avsv("embed-face", "--model", pack, "--shard", f"{job}/3", *ALLOW, data, tmp_path / "three")
        assert status == 0, output
    assert (tmp_path / "one" / "embedding.ark").read_bytes() == (tmp_path / "again" / "embedding.ark").read_bytes()
    assert equal(tmp_path / "one", tmp_path / "three")
    assert "p-dark" in read_table(tmp_path / "three" / "skipped")
    avsv("embed-face", "--model", pack, *ALLOW, data, tmp_path / "one")
    assert "complete already" in caplog.messages[-2]


def test_damage_is_applied_and_faces_missing_by_design_do_not_count_as_failures(avsv, pack, data, tmp_path):
    avsv("align-faces", "--model", pack, *ALLOW, data, tmp_path / "faces")
    avsv("embed-face", "--model", pack, data, tmp_path / "clean")
    damage = {
        "p-0": {"modality": "face", "kind": "gaussian-blur", "sigma": 5},
        "p-1": {"modality": "voice", "kind": "babble", "sources": [["n.wav", 0.5]], "snr": 5},
        "p-2": {"modality": "face", "kind": "missing"},
    }
    (data / "utt2damage").write_text("".join(f"{utt} {json.dumps(what)}\n" for utt, what in damage.items()))
    status, output = avsv("embed-face", "--model", pack, "--max-skipped", 0, data, tmp_path / "noisy")
    assert status == 0, output
    clean, noisy = embeddings(tmp_path / "clean"), embeddings(tmp_path / "noisy")
    assert list(noisy) == ["p-0", "p-1", "p-3", "p-4"]
    assert not np.allclose(noisy["p-0"], clean["p-0"])
    assert all(np.array_equal(noisy[utt], clean[utt]) for utt in ("p-1", "p-3", "p-4"))
    assert read_table(tmp_path / "noisy" / "skipped")["p-2"] == "missing by design"


def numbers(out_dir, table):
    return {utt: float(value) for utt, value in read_table(out_dir / table).items()}


FACE_TABLES = ("utt2face_score", "utt2face_size", "utt2sharpness", "utt2num_faces", "utt2magnitude")


def test_exactly_the_embedded_clips_have_quality_measures(avsv, pack, data, tmp_path):
    avsv("embed-face", "--model", pack, *ALLOW, data, tmp_path / "out")
    for table in FACE_TABLES:
        assert list(numbers(tmp_path / "out", table)) == [f"p-{i}" for i in range(5)], table
    assert set(numbers(tmp_path / "out", "utt2num_faces").values()) == {3}
    # with its border the image is 182 pixels wide; WhiteSquares sees it at 192, where a face has 96
    assert set(numbers(tmp_path / "out", "utt2face_size").values()) == {91}
    assert all(0.5 < score <= 1 for score in numbers(tmp_path / "out", "utt2face_score").values())


def test_magnitude_is_the_mean_norm_of_the_networks_output(avsv, pack, data, tmp_path):
    avsv("align-faces", "--model", pack, *ALLOW, data, tmp_path / "faces")
    avsv("embed-face", "--model", pack, data, tmp_path / "out")
    network = load_pack(pack, tasks=("recognition",)).recognition
    faces = read_faces(read_table(data / "faces.scp")["p-3"])
    lengths = [np.linalg.norm(network.get_feat(face)) for face in faces]
    assert numbers(tmp_path / "out", "utt2magnitude")["p-3"] == pytest.approx(np.mean(lengths), rel=1e-4)


def test_score_and_size_of_archived_faces_are_those_of_align_faces(avsv, pack, data, tmp_path):
    avsv("embed-face", "--model", pack, *ALLOW, data, tmp_path / "direct")
    avsv("align-faces", "--model", pack, *ALLOW, data, tmp_path / "faces")
    avsv("embed-face", "--model", pack, data, tmp_path / "out")
    for table in FACE_TABLES[:2]:
        assert numbers(tmp_path / "out", table) == numbers(data, table) == numbers(tmp_path / "direct", table)
    assert avsv("check", data)[1].count("utt2face") == 0


def test_archived_faces_without_measures_are_embedded_with_a_warning(avsv, pack, data, tmp_path, caplog):
    avsv("align-faces", "--model", pack, *ALLOW, data, tmp_path / "faces")
    (data / "utt2face_score").unlink()
    status, _ = avsv("embed-face", "--model", pack, data, tmp_path / "out")
    assert status == 0 and "utt2face_score: is absent or empty" in caplog.text
    assert numbers(tmp_path / "out", "utt2face_score") == {} and len(numbers(tmp_path / "out", "utt2face_size")) == 5


def test_quality_is_measured_after_damage_and_absent_for_missing_faces(avsv, pack, data, tmp_path):
    avsv("embed-face", "--model", pack, *ALLOW, data, tmp_path / "clean")
    damage = {"p-0": {"modality": "face", "kind": "gaussian-blur", "sigma": 5},
              "p-2": {"modality": "face", "kind": "missing"}}  # fmt: skip
    (data / "utt2damage").write_text("".join(f"{utt} {json.dumps(what)}\n" for utt, what in damage.items()))
    avsv("embed-face", "--model", pack, *ALLOW, data, tmp_path / "noisy")
    clean, noisy = numbers(tmp_path / "clean", "utt2sharpness"), numbers(tmp_path / "noisy", "utt2sharpness")
    assert noisy["p-0"] < 0.1 * clean["p-0"] and noisy["p-1"] == clean["p-1"]
    assert all("p-2" not in numbers(tmp_path / "noisy", table) for table in FACE_TABLES)


def test_shards_write_the_same_measures(avsv, pack, data, tmp_path):
    avsv("embed-face", "--model", pack, *ALLOW, data, tmp_path / "one")
    for job in (1, 2):
        avsv("embed-face", "--model", pack, "--shard", f"{job}/2", *ALLOW, data, tmp_path / "two")
    for table in FACE_TABLES:
        assert (tmp_path / "one" / table).read_bytes() == (tmp_path / "two" / table).read_bytes()


@pytest.mark.parametrize("aligned", [True, False])
def test_undamaged_clips_of_a_noisy_set_are_copied(avsv, pack, data, tmp_path, caplog, aligned):
    caplog.set_level("INFO", logger="avsv")
    if aligned:
        avsv("align-faces", "--model", pack, *ALLOW, data, tmp_path / "faces")
    avsv("embed-face", "--model", pack, *ALLOW, data, tmp_path / "clean")
    damage = {
        "p-0": [
            {"modality": "voice", "kind": "speed", "factor": 0.9},
            {"modality": "face", "kind": "gaussian-blur", "sigma": 5},
        ],
        "p-1": {"modality": "voice", "kind": "babble", "sources": [["n.wav", 0.5]], "snr": 5},
        "p-2": {"modality": "face", "kind": "missing"},
    }
    (data / "utt2damage").write_text("".join(f"{utt} {json.dumps(what)}\n" for utt, what in damage.items()))
    avsv("embed-face", "--model", pack, *ALLOW, data, tmp_path / "anew")
    for job, taken in ((1, "1 of 2"), (2, "2 of 2" if aligned else "2 of 3")):  # p-dark is tried again
        status, _ = avsv("embed-face", "--model", pack, *ALLOW, "--shard", f"{job}/2", "--reuse", tmp_path / "clean",
                            data, tmp_path / "noisy")  # fmt: skip
        assert status == 0 and f"{taken} clips have the same input" in caplog.text
    assert equal(tmp_path / "noisy", tmp_path / "anew")
    for table in (*FACE_TABLES, "utt2input"):
        assert read_table(tmp_path / "noisy" / table) == read_table(tmp_path / "anew" / table)
    skipped = read_table(tmp_path / "noisy" / "skipped")
    assert skipped == read_table(tmp_path / "anew" / "skipped") and set(skipped) == {"p-2", "p-dark"}


def test_attention_pooling_weights_faces_by_sharpness(avsv, pack, data, tmp_path):
    avsv("embed-face", "--model", pack, *ALLOW, "--keep-faces", data, tmp_path / "mean")
    faces = {utt: read_entry(entry) for utt, entry in read_table(tmp_path / "mean" / "faces.scp").items()}
    sharp = {utt: read_entry(entry) for utt, entry in read_table(tmp_path / "mean" / "faces_sharpness.scp").items()}
    assert set(faces) == set(embeddings(tmp_path / "mean"))
    assert all(len(faces[utt]) == len(sharp[utt]) == 3 for utt in list(faces)[1:])
    save_face_pool(tmp_path / "pool", FacePool((0.0, 8.0), (1.0, 0.01), (0.0, 1.0)))
    status, output = avsv("embed-face", "--model", pack, *ALLOW, "--pool", tmp_path / "pool", data, tmp_path / "pooled")
    assert status == 0, output
    for utt, vector in embeddings(tmp_path / "pooled").items():
        logits = np.clip((np.log1p(sharp[utt].astype(float)) - 8) / 0.01, -5, 5)
        unit = faces[utt] / np.linalg.norm(faces[utt], axis=1, keepdims=True)
        assert np.allclose(vector, np.exp(logits) / np.exp(logits).sum() @ unit, atol=1e-5)


def test_keep_faces_excludes_reuse(avsv, pack, data, tmp_path):
    status, output = avsv("embed-face", "--model", pack, "--keep-faces", "--reuse", tmp_path, data, tmp_path / "out")
    assert status == 1 and "--keep-faces" in output


def test_a_set_without_faces_by_design_has_an_empty_archive(avsv, pack, data, tmp_path):
    (data / "utt2damage").write_text("".join(f'p-{i} {{"modality": "face", "kind": "missing"}}\n' for i in range(5)))
    (data / "video.scp").write_text("")
    (data / "wav.scp").write_text("".join(f"p-{i} x.wav\n" for i in range(5)))
    status, output = avsv("embed-face", "--model", pack, data, tmp_path / "out")
    assert status == 0, output
    assert (tmp_path / "out" / "embedding.scp").read_text() == ""
    assert list(read_table(tmp_path / "out" / "skipped")) == [f"p-{i}" for i in range(5)]


def test_too_many_clips_without_a_face_fail_with_the_first_one_named(avsv, pack, data, tmp_path):
    status, output = avsv("align-faces", "--model", pack, data, tmp_path / "faces")
    assert status == 1 and "1 of 6 clips could not be used" in output and "p-dark: no face was found" in output
    assert not (data / "faces.scp").exists()


def test_bad_packs_give_one_clear_line(avsv, pack, data, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "a.onnx").write_text("not a network")
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "detector.onnx").write_bytes((pack / "detector.onnx").read_bytes())
    for name, place in [("absent", "absent: "), ("absent/pack", "pack: "), ("empty", "empty: "),
                        ("broken", "a.onnx: "), ("half", "detector.onnx"),
                        ("half/detector.onnx", "detector.onnx: ")]:  # fmt: skip
        status, output = avsv("embed-face", "--model", tmp_path / name, data, tmp_path / "out")
        assert status == 1 and place in output and "Traceback" not in output, output


def test_a_published_pack_is_downloaded_only_if_it_is_not_at_home(pack, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    fetched = []

    def no_network(*names):
        fetched.append(names)
        raise OSError("no network")

    monkeypatch.setattr("insightface.utils.ensure_available", no_network)
    with pytest.raises(InputError, match=r"buffalo_s.*no network"):
        find_pack("buffalo_s")
    with pytest.raises(InputError, match="buffalo: "):
        find_pack("buffalo")  # not a published name, so nothing is downloaded
    home = tmp_path / ".insightface" / "models" / "buffalo_s"
    shutil.copytree(pack, home)
    assert find_pack("buffalo_s") == home and fetched == [("models", "buffalo_s")]


def test_without_cuda_the_error_names_the_package_to_install(avsv, pack, data, tmp_path):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA")
    status, output = avsv("embed-face", "--device", "cuda", "--model", pack, data, tmp_path / "out")
    assert status == 1 and "onnxruntime-gpu" in output


def test_a_truncated_archive_is_an_error(avsv, pack, data, tmp_path):
    avsv("align-faces", "--model", pack, *ALLOW, data, tmp_path / "faces")
    archive = tmp_path / "faces" / "faces.ark"
    archive.write_bytes(archive.read_bytes()[:-100])
    status, output = avsv("embed-face", "--model", pack, data, tmp_path / "out")
    assert status == 1 and "p-4" in output and "faces.ark" in output


def test_a_set_without_images_is_an_error(avsv, pack, tmp_path):
    (tmp_path / "utt2spk").write_text("a a\n")
    (tmp_path / "wav.scp").write_text("a a.wav\n")
    for verb in ("align-faces", "embed-face"):
        status, output = avsv(verb, "--model", pack, tmp_path, tmp_path / "out")
        assert status == 1 and "video.scp" in output


def test_torch_is_not_imported(pack, data, tmp_path):
    code = f"""
import sys
from avsv.cli import main
status = main(["embed-face", "--model", {str(pack)!r}, "--max-skipped=0.5", {str(data)!r}, {str(tmp_path / "out")!r}])
print(status, "torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 False\n", done.stdout + done.stderr


def test_real_faces_are_all_found_and_recognised(avsv, real_data, tmp_path):
    """Six minivox speakers with two videos each: every face is detected, and verification makes no error."""
    root = real_data / "minivox" / "vox1" / "unzippedFaces"
    people = sorted(path.name for path in root.iterdir())[::4]
    clips = {f"{p}-{v.name}": v for p in people for v in sorted((root / p / "1.6").iterdir())[:2]}
    data = tmp_path / "data"
    data.mkdir()
    (data / "video.scp").write_text("".join(f"{utt} {path}\n" for utt, path in clips.items()))
    (data / "utt2spk").write_text("".join(f"{utt} {utt.split('-')[0]}\n" for utt in clips))
    model = real_data / "models" / "mobileface"
    status, output = avsv(
        "embed-face", "--model", model, "--max-skipped", 0, "--frames-per-clip", 2, data, tmp_path / "out"
    )
    assert status == 0, output
    result = {utt: v / np.linalg.norm(v) for utt, v in embeddings(tmp_path / "out").items()}
    assert list(result) == sorted(clips)
    same = [result[a] @ result[b] for a in result for b in result if a < b and a.split("-")[0] == b.split("-")[0]]
    other = [result[a] @ result[b] for a in result for b in result if a.split("-")[0] < b.split("-")[0]]
    assert min(same) > max(other)
