"""Everything in avsv that reads a file of text, numbers or settings, as functions of the file's bytes.

Whatever the bytes are, a parser gives a value or raises UserError; anything else is a mistake of ours. test_fuzz.py
tries these parsers with hypothesis in every run of the tests, coverage_guided.py for as long as one likes.
"""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from avsv.errors import UserError
from avsv.features.faces import encode_faces, read_faces
from avsv.kaldi.damage import read_damage
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.foreign_archives import read_ark
from avsv.kaldi.foreign_embeddings import checked
from avsv.kaldi.foreign_forms import read_foreign
from avsv.kaldi.matrices import BINARY, encode, encode_text, read_array
from avsv.kaldi.score_formats import FORMS
from avsv.kaldi.scores import read_scores
from avsv.kaldi.shards import merge
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials, read_trials
from avsv.kaldi.validation import check, fix
from avsv.scoring.calibration import read_fusion
from avsv.scoring.plda_files import read_gaussians
from avsv.training.config import TrainingConfig, apply_schema, read_config

TRIALS = Trials(["a", "b/c"], ["d", "e.wav"], np.array([[0, 0], [1, 1], [0, 1]]), np.array([True, False, False]))
DATA = {"utt2spk": b"a-1 a\na-2 a\n", "wav.scp": b"a-1 x.wav\na-2 y.wav\n"}


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def parse_data_dir(folder: Path, data: bytes) -> None:
    """The bytes as each table of a data directory in turn; the directory is checked, read and mended."""
    for name in ("utt2spk", "wav.scp", "utt2dur", "spk2gender", "trials/list"):
        for table, good in DATA.items():
            write(folder, table, good)
        write(folder, name, data)
        for read in (check, read_data_dir, lambda path: read_data_dir(path).seconds(), fix, check):
            attempt(read, folder)
        (folder / name).unlink()


def parse_archive(folder: Path, data: bytes) -> None:
    """The bytes as an archive of embeddings, with an scp and without."""
    ark = write(folder, "x.ark", data)
    scp = write(folder, "x.scp", f"a {ark}:2\nb {ark}:{len(data) // 2}\n".encode())
    for row in (1, 2):
        only = scp.read_bytes().split(b"\n")[row - 1] + b"\n"
        attempt(read_embeddings, write(folder, "one.scp", only))
    attempt(read_embeddings, scp)
    attempt(lambda path: checked(path, read_ark(path)), ark)


def parse_scp(folder: Path, data: bytes) -> None:
    """The bytes as an scp; an archive "x.ark" is beside it."""
    write(folder, "x.ark", b"a " + BINARY + encode(np.ones(3, "<f4")))
    read_embeddings(write(folder, "x.scp", data.replace(b"@", str(folder).encode())))


def parse_damage(folder: Path, data: bytes) -> None:
    write(folder, "utt2damage", data)
    read_damage(folder, "voice")


def parse_config(folder: Path, data: bytes) -> None:
    path = write(folder, "conf.yaml", data)
    apply_schema(read_config(path, []), TrainingConfig, path)


def parse_proof(folder: Path, data: bytes) -> None:
    for job in (1, 2):
        write(folder, f"done.{job}.json", data)
        write(folder, f"x.{job}.scp", b"a x.ark:2\n")
        write(folder, f"skipped.{job}", b"")
    merge(folder)


PARSERS: dict[str, Callable[[Path, bytes], object]] = {
    "table": lambda folder, data: read_table(write(folder, "table", data), 2),
    "trials": lambda folder, data: read_trials(write(folder, "a list of trials", data)),
    "scores": lambda folder, data: read_scores(write(folder, "scores", data), TRIALS, incomplete=True),
    "data directory": parse_data_dir,
    "archive": parse_archive,
    "scp": parse_scp,
    "vector or matrix": lambda folder, data: read_array(write(folder, "mean.vec", data)),
    "plda": lambda folder, data: read_gaussians(write(folder, "plda", data)),
    "embeddings of others": lambda folder, data: (
        lambda path: checked(path, read_foreign(path)))(write(folder, "embeddings", data)),
    "damage": parse_damage,
    "configuration": parse_config,
    "calibration": lambda folder, data: read_fusion(write(folder, "fusion.json", data)),
    "proof of a shard": parse_proof,
    "faces": lambda folder, data: read_faces(f"{write(folder, 'faces.ark', data)}:2"),
}  # fmt: skip


def attempt(read: Callable, *arguments: object) -> None:
    with contextlib.suppress(UserError):
        read(*arguments)


def seeds() -> dict[str, list[bytes]]:
    """Good files of each parser, to begin from."""
    vector, matrix, square = np.arange(3, dtype="<f4"), np.ones((1, 3), "<f8"), np.eye(2)
    arrays = [b"a " + BINARY + encode(vector) + b"b " + BINARY + encode(matrix), b"a " + encode_text(vector),
              b"a " + BINARY + b"CM2 " + np.array([0, 1], "<f4").tobytes() + np.array([1, 3], "<i4").tobytes()
              + np.arange(3, dtype="<u2").tobytes(),
              b"a " + BINARY + b"CM " + np.array([0, 1], "<f4").tobytes() + np.array([1, 2], "<i4").tobytes()
              + np.arange(8, dtype="<u2").tobytes() + b"\x01\x02"]  # fmt: skip
    plda = [np.zeros(2), square, np.ones(2)]
    npz, npy = io.BytesIO(), io.BytesIO()
    np.savez(npz, names=np.array(["a", "b"]), vectors=np.ones((2, 3), np.float32))
    np.save(npy, np.ones((2, 3), np.float32))
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    lines = [b"a d target\nb/c e.wav nontarget\n", b"1 x/y/1.wav x/y/2.wav\n0 a.wav b.wav\n", b"a d\n"]
    scores = [b"a d 1.5\nb/c e.wav -2e-3\na e.wav inf\n", b"a d 1 0.5\n", b"a*d 0.5 1\n", b"a d 0.5 target\n",
              *(f'{form} 1 2\n'.encode() for form in FORMS.split('"'))]  # fmt: skip
    return {
        "table": [b"a 1\nb 2\n", b"a\t1\r\n"],
        "trials": lines,
        "scores": scores,
        "data directory": [DATA["utt2spk"], b"a-1 m\n", b"a-1 2.5\n", lines[0]],
        "archive": arrays,
        "scp": [b"a @/x.ark:2\n", b"a  @/x.ark:2\nb cat x |\n"],
        "vector or matrix": [array[2:] for array in arrays],
        "plda": [BINARY + b"<Plda> " + b"".join(encode(p) for p in plda) + b"</Plda> ",
                 b"<Plda> " + b"".join(encode_text(p) for p in plda) + b"</Plda> "],
        "embeddings of others": [npz.getvalue(), npy.getvalue(), len(header).to_bytes(8, "little") + header + bytes(4),
                                 *arrays, b"name,v1,v2\na,1,2\nb,3,4\n", b"a 1 2\n"],
        "damage": [b'a {"modality": "voice", "kind": "missing"}\nb [{"modality": "voice", "kind": "noise"}]\n'],
        "configuration": [b"task: voice\nexp_dir: exp/x\ndata_dir: data/x\nepochs: 3\noptimizer:\n  lr: 0.1\n",
                          b"task: voice\nexp_dir: ${data_dir}/x\ndata_dir: &a [1, *a]\n"],
        "calibration": [b'{"systems": ["a"], "weights": [1.0], "offset": 0.5, "target_prior": 0.01}'],
        "proof of a shard": [b'{"shards": 2, "settings": "x", "inputs": "y"}'],
        "faces": [b"a " + encode_faces(np.zeros((1, 112, 112, 3), np.uint8))],
    }  # fmt: skip
