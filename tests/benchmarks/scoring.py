#!/usr/bin/env python3
"""Seconds and peak memory of the scoring commands, from files to files, on sets of the size of VoxCeleb1.

    python tests/benchmarks/scoring.py                    takes minutes; 0.5 GB in --dir
    python tests/benchmarks/scoring.py --large            adds 10 and 40 million trials; 7 GB in --dir
    python tests/benchmarks/scoring.py --only as-norm     rows whose name contains "as-norm"

Random embeddings of a two-covariance model, dimension 192: "O" has 4,708 utterances and 37,720 trials, "E" 145,160 and
579,818; the cohort has 5,994 members, the training set 5,994 speakers with 20 utterances each. Each command runs
--repeats times and the fastest run counts, because machines are shared. "bare" is the same matrix product or sort in
this process, without files. The last column is the target on two cores; the exit status is 1 if one is missed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from avsv.kaldi.columns import as_bytes, join_columns
from avsv.kaldi.embeddings import write_embeddings
from avsv.kaldi.scores import write_scores
from avsv.kaldi.trials import read_trials

DIM, COHORT, TRAIN_SPEAKERS, TRAIN_UTTERANCES = 192, 5994, 5994, 20
SETS = {"O": (40, 4708, 37_720), "E": (1251, 145_160, 579_818)}  # speakers, utterances, trials
LARGE = {"10M": 10_000_000, "40M": 40_000_000}
WORDS = np.array([b"nontarget", b"target"])


@dataclass
class Row:
    """A command, the bare operation it is compared with, and its targets."""

    name: str
    command: list[str]
    bare: str = ""
    seconds: float = float("inf")
    mebibytes: float = float("inf")
    times_bare: float = 0.0
    large: bool = False


def rows(d: str) -> list[Row]:
    e, o = (["--trials", f"{d}/{name}.trials", "--enroll", f"{d}/{name}.scp"] for name in "EO")
    as_norm = ["normalize", "--method", "as-norm", "--top-n", "300", "--cohort", f"{d}/cohort.scp"]
    evaluate, no_interval = ["evaluate", "--trials", f"{d}/E.trials", f"{d}/E.cosine"], ["--resamples", "0"]
    plda = ["plda", "--embeddings", f"{d}/train.scp", "--utt2spk", f"{d}/utt2spk", f"{d}/plda"]
    systems = [f"{name}={d}/E.{name}" for name in ("voice", "face")]
    tables = [f"{name}=log:{d}/E.{name}.quality" for name in ("voice", "face")]
    by_quality = ["fuse", "--method", "quality", *e[:2], "--scores", *systems, "--quality", *tables]
    large = {n: ["score", "--trials", f"{d}/{n}.trials", *e[2:], f"{d}/{n}.cosine"] for n in LARGE}
    return [
        Row("avsv score --help", ["score", "--help"], seconds=0.3),
        Row("avsv evaluate --help", ["evaluate", "--help"], seconds=0.3),
        Row("O: cosine", ["score", *o, f"{d}/O.cosine"], "O: products of the pairs"),
        Row("E: cosine", ["score", *e, f"{d}/E.cosine"], "E: products of the pairs", 3, 615),
        Row("O: as-norm", [*as_norm, *o, "--scores", f"{d}/O.cosine", f"{d}/O.as-norm"], "O: product with the cohort"),
        Row("E: as-norm", [*as_norm, *e, "--scores", f"{d}/E.cosine", f"{d}/E.as-norm"], "E: product with the cohort",
            8, 820, times_bare=2),
        Row("E: measures", [*evaluate, *no_interval], "E: sort of the scores", 1),
        Row("E: measures, 1,000 resamples", evaluate, "", 30),
        Row("PLDA training, 10 iterations", plda, "train: covariance", 2),
        Row("E: PLDA scores", ["score", "--backend", "plda", "--plda", f"{d}/plda", *e, f"{d}/E.plda"], "", 3),
        Row("E: logistic fusion", ["fuse", *e[:2], "--scores", f"{d}/E.voice", f"{d}/E.face", f"{d}/E.logistic"],
            "E: logistic regression of scikit-learn"),
        Row("E: quality-dependent fusion", [*by_quality, f"{d}/E.fused"], "E: logistic regression of scikit-learn", 20),
        Row("E: the same, applied", [*by_quality, "--model", f"{d}/E.fused.json", f"{d}/E.applied"], "", 6),
        Row("10M: cosine", large["10M"], large=True),
        Row("40M: cosine", large["40M"], mebibytes=1536, large=True),
        Row("10M: measures", ["evaluate", "--trials", f"{d}/10M.trials", f"{d}/10M.cosine", *no_interval],
            seconds=6, large=True),
    ]  # fmt: skip


def make_data(folder: Path, large: bool) -> None:
    """Write the sets that do not exist yet."""
    rng = np.random.default_rng(7)
    for name, (n_speakers, n_utts, n_trials) in SETS.items():
        if (folder / f"{name}.trials").exists():
            continue
        speakers = np.sort(rng.integers(0, n_speakers, n_utts))
        names = [f"id1{p:04d}-v{u % 20:02d}-{u:06d}" for u, p in enumerate(speakers)]
        vectors = rng.standard_normal((n_speakers, DIM))[speakers] + 0.9 * rng.standard_normal((n_utts, DIM))
        write_embeddings(folder / f"{name}.ark", folder / f"{name}.scp", names, vectors)
        write_trials(folder / f"{name}.trials", names, speakers, n_trials, rng)
    if not (folder / "E.face.quality").exists():
        write_systems(folder, rng)
    if not (folder / "utt2spk").exists():
        cohort = [f"id0{p:04d}" for p in range(COHORT)]
        write_embeddings(folder / "cohort.ark", folder / "cohort.scp", cohort, rng.standard_normal((COHORT, DIM)))
        speakers = np.repeat(np.arange(TRAIN_SPEAKERS), TRAIN_UTTERANCES)
        names = [f"id0{p:04d}-{u % TRAIN_UTTERANCES:02d}" for u, p in enumerate(speakers)]
        vectors = rng.standard_normal((TRAIN_SPEAKERS, DIM))[speakers] + 0.9 * rng.standard_normal((len(speakers), DIM))
        write_embeddings(folder / "train.ark", folder / "train.scp", names, vectors)
        (folder / "utt2spk").write_text("".join(f"{name} {name[:7]}\n" for name in names))
    if large:
        names = [line.split()[0] for line in (folder / "E.scp").read_text().splitlines()]
        speakers = np.array([int(name[3:7]) for name in names])
        for name, n_trials in LARGE.items():
            if not (folder / f"{name}.trials").exists():
                write_trials(folder / f"{name}.trials", names, speakers, n_trials, rng)


def write_trials(path: Path, names: list[str], speakers: np.ndarray, n: int, rng: np.random.Generator) -> None:
    """Write distinct random pairs, sorted by enrolment; up to half of them are target trials."""
    begin = np.searchsorted(speakers, speakers)
    size = np.searchsorted(speakers, speakers, side="right") - begin
    keys = np.empty(0, np.int64)
    while len(keys) < n:
        enroll = rng.integers(0, len(names), n)
        test = np.where(np.arange(n) % 2, begin[enroll] + rng.integers(0, 1 << 30, n) % size[enroll],
                        rng.integers(0, len(names), n))  # fmt: skip
        keys = np.unique(np.concatenate([keys, enroll * len(names) + test]))
    keys = np.sort(rng.permutation(keys)[:n])
    text = as_bytes(names)
    part = path.with_suffix(".part")
    with open(part, "wb") as out:
        for start in range(0, n, 1 << 16):
            enroll, test = np.divmod(keys[start : start + (1 << 16)], len(names))
            same = (speakers[enroll] == speakers[test]).astype(int)
            out.write(join_columns([text[enroll], text[test], WORDS[same]]))
    part.rename(path)


def write_systems(folder: Path, rng: np.random.Generator) -> None:
    """Scores of two systems on E, and a quality table of each: the standard deviation of a recording's noise."""
    trials = read_trials(folder / "E.trials")
    for system in ("voice", "face"):
        noise = dict.fromkeys([*trials.enroll_ids, *trials.test_ids])
        noise = dict(zip(noise, rng.uniform(0.1, 1, len(noise)).round(4).tolist(), strict=True))
        sides = (np.array([noise[name] for name in ids]) for ids in (trials.enroll_ids, trials.test_ids))
        enroll, test = (side[trials.pairs[:, n]] for n, side in enumerate(sides))
        scores = trials.labels + np.maximum(enroll, test) * rng.standard_normal(len(trials))
        write_scores(folder / f"E.{system}", trials, scores)
        (folder / f"E.{system}.quality").write_text("".join(f"{name} {value}\n" for name, value in noise.items()))


def run(command: list[str]) -> tuple[float, float]:
    """Wall seconds and peak MiB of `avsv ...`; an earlier output, which avsv would keep, is removed first."""
    if command[0] in ("score", "normalize", "fuse"):
        Path(command[-1]).unlink(missing_ok=True)
    elif command[0] == "plda":
        shutil.rmtree(command[-1], ignore_errors=True)
    begin = time.perf_counter()
    process = subprocess.Popen(["avsv", *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    output = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"avsv {' '.join(command)} failed: {output}")
    return time.perf_counter() - begin, usage.ru_maxrss / 1024


def bare_seconds(name: str) -> float:
    """Seconds of the bare operation, run just before the command under the same load; 0 without one."""
    if not name:
        return 0.0
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as aside:
        return aside.submit(bare, name).result()


def bare(name: str) -> float:
    """Seconds of an operation on arrays in memory."""
    rng = np.random.default_rng(0)
    n_utts, n_trials = SETS[name[0]][1:] if name[0] in SETS else (TRAIN_SPEAKERS * TRAIN_UTTERANCES, 0)
    vectors = rng.standard_normal((n_utts, DIM), np.float32)
    pairs = rng.integers(0, n_utts, (2, n_trials))
    cohort = rng.standard_normal((DIM, COHORT), np.float32)
    scores, out = rng.standard_normal(n_trials), np.empty((4096, COHORT), np.float32)
    begin = time.perf_counter()
    if name.endswith("pairs"):
        for start in range(0, n_trials, 4096):
            np.einsum("ij,ij->i", vectors[pairs[0, start : start + 4096]], vectors[pairs[1, start : start + 4096]])
    elif name.endswith("cohort"):
        for start in range(0, n_utts, 4096):
            block = vectors[start : start + 4096]
            np.matmul(block, cohort, out=out[: len(block)])
    elif name.endswith("scores"):
        np.argsort(scores)
    elif name.endswith("scikit-learn"):
        two = np.column_stack([scores, rng.standard_normal(n_trials)])
        LogisticRegression(C=1e6).fit(two, two.sum(axis=1) + 2 * rng.standard_normal(n_trials) > 0)
    else:
        np.linalg.eigh(vectors.T @ vectors)
    return time.perf_counter() - begin


def show(row: Row, seconds: float, mebibytes: float, bare: float) -> bool:
    """Print a row; returns whether the targets are met."""
    limit = min(row.seconds, row.times_bare * bare) if row.times_bare else row.seconds
    met = seconds <= limit and mebibytes <= row.mebibytes
    beside = f"{bare:8.2f} {seconds / bare:6.1f}" if bare else " " * 15
    targets = [f"{limit:.1f} s" if np.isfinite(limit) else "", f"{row.mebibytes:.0f} MiB"]
    target = ", ".join(target for target in targets if target and target != "inf MiB")
    print(f"{row.name:32}{seconds:8.2f}{mebibytes:8.0f} {beside}   {target}{'' if met else '   MISSED'}", flush=True)
    return met


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "avsv-benchmark")
    parser.add_argument("--large", action="store_true", help="add 10 and 40 million trials")
    parser.add_argument("--only", default="", metavar="TEXT", help="run only rows whose name contains TEXT")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    # in another process: the system counts at least the parent's peak memory for a command
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as aside:
        aside.submit(make_data, args.dir, args.large).result()
    print(f"{'':32}{'seconds':>8}{'MiB':>8} {'bare':>8} {'ratio':>6}   target")
    met = True
    for row in rows(str(args.dir)):
        if (row.large and not args.large) or args.only not in row.name:
            continue
        tries = [(bare_seconds(row.bare), *run(row.command)) for _ in range(args.repeats)]
        beside, seconds, mebibytes = min(tries, key=lambda one: one[1])
        met &= show(row, seconds, mebibytes, beside)
    return not met


if __name__ == "__main__":
    sys.exit(main())
