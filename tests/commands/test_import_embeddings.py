"""avsv import-embeddings: embeddings of other toolkits become Kaldi archives that avsv score reads."""

import csv
import json

import kaldiio
import numpy as np
import pytest

from avsv.kaldi.embeddings import read_embeddings

VECTORS = np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32)


def import_npz(avsv, folder, names, *options):
    np.savez(folder / "x.npz", names=np.array(names), x=VECTORS)
    return avsv("import-embeddings", *options, folder / "x.npz", folder / "out")


def test_archive_and_scp_are_written_and_counted(avsv, tmp_path):
    status, output = import_npz(avsv, tmp_path, ["c", "a", "b"])
    assert status == 0
    assert output == (
        f"{tmp_path}/x.npz: npz: vectors x, names in names\n{tmp_path}/out/embedding.scp: 3 embeddings of 4 values\n"
    )
    result = read_embeddings(tmp_path / "out" / "embedding.scp")
    assert result.ids == ["a", "b", "c"]
    assert np.array_equal(result.vectors, VECTORS[[1, 2, 0]])


def test_paths_become_utterances_and_are_counted(avsv, tmp_path):
    _, output = import_npz(avsv, tmp_path, ["id1/v/1.wav", "id1/v/2.wav", "b"])
    assert "2 of 3 names are paths and become utterance identifiers: id1/v/1.wav -> id1-v-1\n" in output
    assert read_embeddings(tmp_path / "out" / "embedding.scp").ids == ["b", "id1-v-1", "id1-v-2"]


def test_paths_none_keeps_the_names(avsv, tmp_path):
    import_npz(avsv, tmp_path, ["id1/v/1.wav", "id1/v/2.wav", "b"], "--paths", "none")
    assert read_embeddings(tmp_path / "out" / "embedding.scp").ids == ["b", "id1/v/1.wav", "id1/v/2.wav"]


def test_wespeakers_embeddings_are_scored_on_a_voxceleb_list(avsv, tmp_path):
    names = ["id10270/5r0dWxy17C8/00001.wav", "id10270/8jEAjG6SegY/00008.wav", "id10300/ize_eiCFEg0/00003.wav"]
    with kaldiio.WriteHelper(f"ark,scp:{tmp_path}/xvector.ark,{tmp_path}/xvector.scp") as writer:
        for name, vector in zip(names, VECTORS):
            writer(name, vector)
    (tmp_path / "veri_test2.txt").write_text(f"1 {names[0]} {names[1]}\n0 {names[0]} {names[2]}\n")
    assert avsv("import-embeddings", tmp_path / "xvector.scp", tmp_path / "out")[0] == 0
    scp, scores = tmp_path / "out" / "embedding.scp", tmp_path / "s"
    assert avsv("score", "--trials", tmp_path / "veri_test2.txt", "--enroll", scp, scores)[0] == 0
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    assert np.loadtxt(scores, usecols=2) == pytest.approx(unit[1:] @ unit[0], abs=1e-6)


def test_files_of_torch(avsv, tmp_path):
    torch = pytest.importorskip("torch")
    names = ["a", "b", "c"]
    contents = {
        "each": {name: torch.tensor(vector)[None, None] for name, vector in zip(names, VECTORS)},
        "table": {"names": names, "emb": torch.tensor(VECTORS)},
        "alone": torch.tensor(VECTORS),
        "half": {name: torch.tensor(vector).bfloat16() for name, vector in zip(names, VECTORS)},
    }
    (tmp_path / "names").write_text("a\nb\nc\n")
    for kind, content in contents.items():
        torch.save(content, tmp_path / f"{kind}.pt")
        options = ["--names-file", tmp_path / "names"] if kind == "alone" else []
        assert avsv("import-embeddings", *options, tmp_path / f"{kind}.pt", tmp_path / kind)[0] == 0
        result = read_embeddings(tmp_path / kind / "embedding.scp").vectors
        assert result == pytest.approx(VECTORS, rel=2**-8 if kind == "half" else 0)


def test_torch_files_of_other_objects_are_refused(avsv, tmp_path):
    torch = pytest.importorskip("torch")
    for content, found in [
        (torch.nn.Linear(2, 2), ""),
        ([torch.zeros(2)], "found list"),
        ({"a": torch.zeros(2), "b": 1}, 'found int under "b"'),
    ]:
        torch.save(content, tmp_path / "x.pt")
        status, output = avsv("import-embeddings", tmp_path / "x.pt", tmp_path / "out")
        assert status == 1
        assert "x.pt: " in output and found in output


def test_nothing_is_written_if_the_file_is_refused(avsv, tmp_path):
    status, output = import_npz(avsv, tmp_path, ["a", "a", "b"])
    assert status == 1
    assert "x.npz, row 2" in output
    assert not (tmp_path / "out").exists()


def test_torch_is_not_imported_for_other_files(tmp_path):
    import subprocess
    import sys

    np.savez(tmp_path / "x.npz", np.array(["a", "b", "c"]), VECTORS)
    code = f"""
import sys
from avsv.cli import main
assert main(["import-embeddings", "{tmp_path}/x.npz", "{tmp_path}/out"]) == 0
print("torch" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_published_voice_embeddings_give_the_published_error_rates(avsv, real_data, tmp_path):
    """Expected: cosine EERs from the README of the real data, for ECAPA and x-vector embeddings on three nsc lists."""
    nsc = real_data / "nsc"
    status, output = avsv("import-embeddings", nsc / "embeddings.npz", tmp_path / "x")
    assert status == 1
    assert "ecapa [2700,192] float32, xvect [2700,512] float16" in output and "--array ecapa" in output
    for array, expected in (("ecapa", (1.67, 2.94, 8.00)), ("xvect", (4.89, 6.72, 14.49))):
        assert avsv("import-embeddings", "--array", array, nsc / "embeddings.npz", tmp_path / array)[0] == 0
        for part, percent in enumerate(expected, 1):
            with open(nsc / f"pt{part}_trials.csv") as table:
                rows = [(row["utt1"][:-4], row["utt2"][:-4], row["label"] == "1") for row in csv.DictReader(table)]
            trials = tmp_path / "trials"
            trials.write_text(
                "".join(f"nsc{part}/{a} nsc{part}/{b} {'target' if same else 'nontarget'}\n" for a, b, same in rows)
            )
            scp = tmp_path / array / "embedding.scp"
            assert avsv("score", "--trials", trials, "--enroll", scp, tmp_path / "s")[0] == 0
            assert avsv("evaluate", "--trials", trials, "--json", tmp_path / "j", tmp_path / "s")[0] == 0
            (result,) = json.loads((tmp_path / "j").read_text()).values()
            assert result["eer_percent"] == pytest.approx(percent, abs=0.015)
