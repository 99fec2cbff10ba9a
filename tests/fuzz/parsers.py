"""All parsers in avsv for files of text, numbers or settings, as functions of the file's bytes.

A parser returns a value or raises InputError for any bytes; everything else is a bug. test_fuzz.py tries these parsers
with hypothesis in every test run, coverage_guided.py for any duration.
"""

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from avsv.errors import InputError
from avsv.features.faces import encode_faces, read_faces
from avsv.features.landmarks import read_landmarks
from avsv.importers.embeddings import check_embeddings
from avsv.importers.formats import read_raw_embeddings
from avsv.importers.kaldi_archives import read_ark
from avsv.jobs.records import read_record
from avsv.jobs.schema import read_json
from avsv.jobs.shards import read_proof
from avsv.kaldi.columns import Identifiers, read_blocks
from avsv.kaldi.damage import read_damage
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.decimals import read_decimals
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.keyed import read_keyed
from avsv.kaldi.matrices import (
    BINARY,
    encode,
    encode_symmetric,
    encode_text,
    read_array,
    read_crop,
    read_entry,
    write_array,
)
from avsv.kaldi.origin import SYSTEM, read_system
from avsv.kaldi.pairs import join_embeddings
from avsv.kaldi.score_formats import FORMS
from avsv.kaldi.scores import read_scores
from avsv.kaldi.segments import cut_recordings
from avsv.kaldi.shards import merge
from avsv.kaldi.split import split_data_dir
from avsv.kaldi.tables import read_table
from avsv.kaldi.trials import Trials, read_trials
from avsv.kaldi.validation import check, fix
from avsv.scoring.calibration import read_fusion
from avsv.scoring.domain import read_adaptation
from avsv.scoring.plda_files import read_gaussians
from avsv.scoring.uncertain_lists import read_uncertain_model
from avsv.systems.association.lists import HEAD, read_gallery, read_matching, read_verification
from avsv.systems.speech.kaldi_files import read_diag_gmm, read_extractor, read_full_gmm
from avsv.systems.synchrony.mouths import Mouths, encode_mouths, read_mouths
from avsv.training.config import TrainingConfig, apply_schema, read_config
from avsv.training.noise_statistics import read_noise

TRIALS = Trials(["a", "b/c"], ["d", "e.wav"], np.array([[0, 0], [1, 1], [0, 1]]), np.array([True, False, False]))
DATA = {"utt2spk": b"a-1 a\na-2 a\n", "wav.scp": b"a-1 x.wav\na-2 y.wav\n"}


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def parse_data_dir(folder: Path, data: bytes) -> None:
    """Use the bytes as each table of a data directory in turn, and check, read, split and fix the directory."""
    for name in ("utt2spk", "wav.scp", "segments", "utt2dur", "spk2gender", "video.scp", "trials/list"):
        for table, good in DATA.items():
            write(folder, table, good)
        write(folder, name, data)
        for read in (check, read_data_dir, lambda path: read_data_dir(path).seconds(), split_in_two, fix, check):
            attempt(read, folder)
        (folder / name).unlink()


def split_in_two(folder: Path) -> None:
    split_data_dir(folder, 2)


def parse_keyed(folder: Path, data: bytes) -> None:
    """Use the bytes as a table of keys and values; every line must be counted as good or bad."""
    table = read_keyed(write(folder, "table", data), False)
    assert sorted([*table.numbers.tolist(), *(number for number, *_ in table.bad)]) == list(
        range(1, len(table) + len(table.bad) + 1)
    )


def parse_columns(folder: Path, data: bytes) -> None:
    """Use the bytes as a table of three fields with identifiers and numbers."""
    path, names = write(folder, "table", data), Identifiers()
    for block, made in read_blocks(path, 3, "a b c", lambda b: (names.keys(b, 0), read_decimals(b, 2))):
        names.rows(block, made[0], 0)
    names.names(path)


def parse_entry(folder: Path, data: bytes) -> None:
    """Use the bytes as a value of an scp file next to an archive "x.ark"."""
    ark = write(folder, "x.ark", b"a " + BINARY + encode(np.ones((4, 3), "<f4")))
    entry = data.decode("utf-8", "surrogateescape").replace("@", str(ark))
    for read in (read_entry, lambda e: read_crop(e, 0.5, 2), read_faces, read_mouths):
        attempt(read, entry)


def parse_pairs(folder: Path, data: bytes) -> None:
    ark = write(folder, "x.ark", b"a " + BINARY + encode(np.ones(3, "<f4")))
    good = write(folder, "good.scp", f"a {ark}:2\n".encode())
    scp = write(folder, "x.scp", data.replace(b"@", str(folder).encode()))
    attempt(join_embeddings, scp, good)
    attempt(join_embeddings, good, scp)


def parse_association(folder: Path, data: bytes) -> None:
    """Use the bytes as each kind of face-voice list."""
    path = write(folder, "list", data)
    for read in (read_verification, read_matching, read_gallery):
        attempt(read, path)


def parse_record(folder: Path, data: bytes) -> None:
    """Use the bytes as each record that avsv writes beside its results."""
    file = write(folder, "scores", b"a b 1\n")
    write(folder, ".scores.made_from.json", data)
    write(folder, "x.system.json", data)
    write(folder, f"scores{SYSTEM}", data)
    for read, path in ((read_record, file), (read_proof, folder / "x.system.json"), (read_system, file)):
        attempt(read, path)


def parse_archive(folder: Path, data: bytes) -> None:
    """Use the bytes as an archive of embeddings, with and without an scp file."""
    ark = write(folder, "x.ark", data)
    scp = write(folder, "x.scp", f"a {ark}:2\nb {ark}:{len(data) // 2}\n".encode())
    for row in (1, 2):
        only = scp.read_bytes().split(b"\n")[row - 1] + b"\n"
        attempt(read_embeddings, write(folder, "one.scp", only))
    attempt(read_embeddings, scp)
    attempt(lambda path: check_embeddings(path, read_ark(path)), ark)


def parse_scp(folder: Path, data: bytes) -> None:
    """Use the bytes as an scp file next to an archive "x.ark"."""
    write(folder, "x.ark", b"a " + BINARY + encode(np.ones(3, "<f4")))
    read_embeddings(write(folder, "x.scp", data.replace(b"@", str(folder).encode())))


def parse_adaptation(folder: Path, data: bytes) -> object:
    """The record of an adaptation beside a valid mean."""
    write_array(folder / "mean.vec", np.zeros(3, "<f4"))
    write(folder, "adaptation.json", data)
    return read_adaptation(folder)


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
    "table of longer values": lambda folder, data: read_table(write(folder, "table", data)),
    "keyed table": parse_keyed,
    "columns": parse_columns,
    "segments": lambda folder, data: cut_recordings(write(folder, "segments", data), {"rec1": "a.wav", "rec2": "|"}),
    "entry of an scp": parse_entry,
    "pairs": parse_pairs,
    "association": parse_association,
    "records": parse_record,
    "json": lambda folder, data: read_json(write(folder, "x.json", data), {"a": [float], "b?": {"c": str}}),
    "key points": lambda folder, data: read_landmarks(str(write(folder, "points", data))),
    "mouths": lambda folder, data: read_mouths(f"{write(folder, 'mouths.ark', data)}:2"),
    "noise statistics": lambda folder, data: read_noise(write(folder, "noise.npz", data)),
    "trials": lambda folder, data: read_trials(write(folder, "a list of trials", data)),
    "scores": lambda folder, data: read_scores(write(folder, "scores", data), TRIALS, incomplete=True),
    "data directory": parse_data_dir,
    "archive": parse_archive,
    "scp": parse_scp,
    "vector or matrix": lambda folder, data: read_array(write(folder, "mean.vec", data)),
    "plda": lambda folder, data: read_gaussians(write(folder, "plda", data)),
    "diagonal GMM": lambda folder, data: read_diag_gmm(write(folder, "final.dubm", data)),
    "full GMM": lambda folder, data: read_full_gmm(write(folder, "final.ubm", data)),
    "i-vector extractor": lambda folder, data: read_extractor(write(folder, "final.ie", data)),
    "foreign embeddings": lambda folder, data: (
        lambda path: check_embeddings(path, read_raw_embeddings(path)))(write(folder, "embeddings", data)),
    "adaptation": parse_adaptation,
    "damage": parse_damage,
    "configuration": parse_config,
    "calibration": lambda folder, data: read_fusion(write(folder, "fusion.json", data)),
    "law of uncertainty": lambda folder, data: read_uncertain_model(write(folder, "law.json", data)),
    "proof of a shard": parse_proof,
    "faces": lambda folder, data: read_faces(f"{write(folder, 'faces.ark', data)}:2"),
}  # fmt: skip


def attempt(read: Callable, *arguments: object) -> None:
    with contextlib.suppress(InputError):
        read(*arguments)


def seeds() -> dict[str, list[bytes]]:
    """Valid files for each parser, the starting points of a search."""
    vector, matrix, square = np.arange(3, dtype="<f4"), np.ones((1, 3), "<f8"), np.eye(2)
    arrays = [b"a " + BINARY + encode(vector) + b"b " + BINARY + encode(matrix), b"a " + encode_text(vector),
              b"a " + BINARY + b"CM2 " + np.array([0, 1], "<f4").tobytes() + np.array([1, 3], "<i4").tobytes()
              + np.arange(3, dtype="<u2").tobytes(),
              b"a " + BINARY + b"CM " + np.array([0, 1], "<f4").tobytes() + np.array([1, 2], "<i4").tobytes()
              + np.arange(8, dtype="<u2").tobytes() + b"\x01\x02"]  # fmt: skip
    plda = [np.zeros(2), square, np.ones(2)]
    one, packed = encode(np.ones(1, "<f4")), encode_symmetric(np.eye(2, dtype="<f4"))
    row = encode(np.ones((1, 2), "<f4"))
    npz, npy = io.BytesIO(), io.BytesIO()
    np.savez(npz, names=np.array(["a", "b"]), vectors=np.ones((2, 3), np.float32))
    np.save(npy, np.ones((2, 3), np.float32))
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    lines = [b"a d target\nb/c e.wav nontarget\n", b"1 x/y/1.wav x/y/2.wav\n0 a.wav b.wav\n", b"a d\n"]
    scores = [b"a d 1.5\nb/c e.wav -2e-3\na e.wav inf\n", b"a d 1 0.5\n", b"a*d 0.5 1\n", b"a d 0.5 target\n",
              *(f'{form} 1 2\n'.encode() for form in FORMS.split('"'))]  # fmt: skip
    mouths = encode_mouths(Mouths(np.zeros((3, 60, 100), np.uint8), np.arange(3) / 25))
    noise = io.BytesIO()
    np.savez(noise, kinds=np.array(["a"]), counts=np.ones(1), mean=np.ones((1, 2)), std=np.ones((1, 2)),
             quality=np.array(["q"]), quality_mean=np.ones((1, 1)), quality_std=np.ones((1, 1)))  # fmt: skip
    return {
        "table": [b"a 1\nb 2\n", b"a\t1\r\n"],
        "table of longer values": [b"a 1 2\nb x y |\n", b"\xef\xbb\xbfa\t1 2\r\n"],
        "keyed table": [b"a 1 2\nb x y |\n\nc\n", b"\xef\xbb\xbfa\t1 2\r\n"],
        "columns": [b"a b 1.5\nc d -1e3\n", b"a b 0.12345678\na b nan\n"],
        "segments": [b"u1 rec1 0 1.5\nu2 rec1 1.5 -1\nu3 rec2 0.25 1 0\n", b"u1\trec1  1e0 2.0\n"],
        "entry of an scp": [b"@:2", b"@:2[0:1,0:2]", b"@[:,1:1]", b"@:2[3:6]"],
        "pairs": [b"a @/x.ark:2\n", b"b @/x.ark:2[0:1]\na @/x.ark:2\n"],
        "association": [f"{HEAD}\n1,p,p,1,a/b.wav,c/d.jpg\n2,p,q,0,a/b.wav,e/f.jpg\n".encode(), b"a b c d\ne f g h\n",
                        b"VoxCeleb1 ID\tPath\np\ta/b.wav\n", b"a p\nb q\n"],
        "records": [b'{"size": 6, "mtime_ns": 1, "made_from": []}', b'{"system": "x", "bytes": 6}',
                    b'{"shards": 2, "settings": "x", "inputs": "y"}'],
        "json": [b'{"a": [1, 2.5], "b": {"c": "x"}}', b'\xef\xbb\xbf{"a": []}'],
        "key points": [b"h\n" + b"\t".join(b"%d" % n for n in range(15)) + b"\n"],
        "mouths": [b"a " + mouths],
        "noise statistics": [noise.getvalue()],
        "trials": [*lines, b"modelid,segmentid,side,targettype\n1,x,a,target\n2,y,a,nontarget\n", b"a b 1\nc d 0\n"],
        "scores": scores,
        "data directory": [DATA["utt2spk"], b"a-1 x.wav 0 1\na-2 x.wav 1 -1\n", b"a-1 m\n", b"a-1 2.5\n", lines[0]],
        "archive": arrays,
        "scp": [b"a @/x.ark:2\n", b"a  @/x.ark:2\nb cat x |\n", b"a @/x.ark:2[0:2]\nb @/x.ark[0:1,2:3]\n"],
        "vector or matrix": [array[2:] for array in arrays],
        "plda": [BINARY + b"<Plda> " + b"".join(encode(p) for p in plda) + b"</Plda> ",
                 b"<Plda> " + b"".join(encode_text(p) for p in plda) + b"</Plda> "],
        "diagonal GMM": [BINARY + b"<DiagGMM> <GCONSTS> " + one + b"<WEIGHTS> " + one + b"<MEANS_INVVARS> " + row
                         + b"<INV_VARS> " + row + b"</DiagGMM> "],
        "full GMM": [BINARY + b"<FullGMM> <WEIGHTS> " + one + b"<MEANS_INVCOVARS> " + row + b"<INV_COVARS> " + packed
                     + b"</FullGMM> "],
        "i-vector extractor": [BINARY + b"<IvectorExtractor> <w> " + encode(np.empty((0, 0), "<f4")) + b"<w_vec> " + one
                               + b"<M> \4\1\0\0\0" + encode(square) + b"<SigmaInv> " + packed
                               + b"<IvectorOffset> \10" + bytes(8) + b"</IvectorExtractor> "],
        "foreign embeddings": [npz.getvalue(), npy.getvalue(), len(header).to_bytes(8, "little") + header + bytes(4),
                                 *arrays, b"name,v1,v2\na,1,2\nb,3,4\n", b"a 1 2\n"],
        "adaptation": [b'{"method": "center", "share": 0.5}', b'{"method": "coral", "share": 1.0}'],
        "damage": [b'a {"modality": "voice", "kind": "missing"}\n',
                   b'a [{"modality": "voice", "kind": "noise", "snr": 1, "sources": [["a.wav", 0.5], '
                   b'[["a.wav", 0, 1, -1, "r"], 0]]}, {"modality": "face", "kind": "jpeg", "quality": 3}]\n'],
        "configuration": [b"task: voice\nexp_dir: exp/x\ndata_dir: data/x\nepochs: 3\noptimizer:\n  lr: 0.1\n",
                          b"task: voice\nexp_dir: ${data_dir}/x\ndata_dir: &a [1, *a]\n"],
        "calibration": [b'{"systems": ["a"], "weights": [1.0], "offset": 0.5, "target_prior": 0.01}',
                        b'{"fusion": "quality-dependent", "target_prior": 0.1, "ridge": 0.01, "lists": [], "systems": '
                        b'[{"name": "a", "trained_on": null, "log_scale": 0, "pivot": 1, "offset": 0, "measures": '
                        b'[{"table": "t", "log": true, "unit": "dB", "median": 1, "mean": [0, 1], "deviation": [1, 2], '
                        b'"scale_weights": [0.1, 0.2], "offset_weights": [0, 0]}]}]}'],
        "law of uncertainty": [b'{"model": "uncertain-plda", "trained_on": null, "plda": "a1", "target_prior": 0.1, '
                               b'"ridge": 0.01, "base": 1, "log_scale": 0, "log_between": 0, "lists": [], '
                               b'"measures": [{"table": "t", "log": false, "unit": null, "mean": 0, "deviation": 1, '
                               b'"weight": 1}]}'],
        "proof of a shard": [b'{"shards": 2, "settings": "x", "inputs": "y"}'],
        "faces": [b"a " + encode_faces(np.zeros((1, 112, 112, 3), np.uint8))],
    }  # fmt: skip
