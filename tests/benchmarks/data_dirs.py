#!/usr/bin/env python3
"""Seconds and peak memory of the commands on a data directory of 1.2 million clips, VoxCeleb1 and 2 together.

    python tests/benchmarks/data_dirs.py                  takes minutes; 3 GB and 1.4 million names in --dir
    python tests/benchmarks/data_dirs.py --clips 100000   a twelfth of it

The directory has nine tables of 7,245 speakers. The files in wav.scp exist, up to eight per folder: links to one empty
file per speaker. "fix that mends" runs on a copy with a clip without audio and video in the middle of all tables, an
invalid line and a repeated line. "resume" is avsv features on a stage that is already complete, as one job and as the
last of four: every file is checked. Each command runs --repeats times and the fastest run counts, because
machines are shared; processor seconds are printed too. The exit status is 1 if a target is missed.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from avsv.features.kinds import Kind
from avsv.jobs.provenance import MadeFrom
from avsv.jobs.shards import Shard
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.media_files import with_stamps
from avsv.kaldi.shards import make_archives

SPEAKERS, SECONDS, MEBIBYTES = 7245, 10.0, 1536.0
TABLES = {
    "utt2spk": "{utt} {spk}",
    "utt2vid": "{utt} {spk}-{video}",
    "utt2dur": "{utt} {seconds}",
    "utt2modality": "{utt} both",
    "wav.scp": "{utt} {audio}",
    "video.scp": "{utt} /corpora/voxceleb2/dev/mp4/{spk}/{video}/{clip}.mp4",
    "feats.scp": "{utt} /disk/egs/voxceleb/exp/fbank/train/feats.{job}.ark:{offset}",
}


def make_data_dir(folder: Path, n_clips: int) -> None:
    """Write a data directory like prepare_voxceleb2.py and its waveforms, with about equally many clips per speaker."""
    rng = np.random.default_rng(3)
    letters = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))
    folder.mkdir(parents=True)
    files = {name: open(folder / name, "w") for name in (*TABLES, "spk2utt", "spk2gender")}  # noqa: SIM115
    made, media = 0, folder.with_name("media")
    for speaker in range(SPEAKERS):
        spk, n_mine = f"id{speaker:05d}", n_clips * (speaker + 1) // SPEAKERS - made
        videos = sorted("".join(row) for row in rng.choice(letters, (n_mine // 8 + 1, 11)))
        utts, empty = [], media / spk / "empty"
        for video in videos:
            (media / spk / video).mkdir(parents=True)
        empty.touch()
        for number in range(n_mine):
            video, clip = videos[number // 8], f"{number % 8 + 1:05d}"
            record = {"spk": spk, "video": video, "clip": clip, "utt": f"{spk}-{video}-{clip}", "job": made % 99 + 1,
                      "offset": 21_000 * made + 26, "seconds": f"{4 + 16 * rng.random() ** 3:.2f}",
                      "audio": f"{media}/{spk}/{video}/{clip}.m4a"}  # fmt: skip
            os.link(empty, record["audio"])
            for name, form in TABLES.items():
                files[name].write(form.format(**record) + "\n")
            utts.append(record["utt"])
            made += 1
        files["spk2utt"].write(f"{spk} {' '.join(utts)}\n")
        files["spk2gender"].write(f"{spk} {'mf'[speaker % 2]}\n")
    for file in files.values():
        file.close()


def break_data_dir(good: Path, bad: Path) -> None:
    """Make a copy with a few defects that affect all tables."""
    shutil.rmtree(bad, ignore_errors=True)
    shutil.copytree(good, bad)
    for name in ("wav.scp", "video.scp"):
        lines = (bad / name).read_bytes().splitlines(keepends=True)
        del lines[len(lines) // 2]
        (bad / name).write_bytes(b"".join(lines))
    lines = (bad / "utt2dur").read_bytes().splitlines(keepends=True)
    (bad / "utt2dur").write_bytes(b"".join([*lines[:7], b"nonsense\n", *lines[7:9], *lines[8:]]))


def finish_stage(folder: Path, out: Path, names: list[str], settings: dict, tables: tuple[str, ...] = ()) -> None:
    """Write the files of a completed stage: its records, and entries of archives that are never opened."""
    data = read_data_dir(folder)
    for total in (1, 4):
        for job in range(1, total + 1):

            def work(utts, writer):
                for name in names:
                    archive = writer.path(name)
                    writer.entries[name] = [(utt, f"{archive}:{len(utt) + 1}") for utt in utts]
                for utt in utts:
                    for table in tables:
                        writer.note(table, utt, 1.0)

            shard = Shard(job, total)
            inputs = with_stamps(dict.fromkeys(data.wav), lambda utt: [data.wav[utt]], shard)
            made = MadeFrom("features", {"data": folder / "wav.scp"}, settings)
            make_archives(out / str(total), names, inputs, settings, work, shard, tables=tables, made=made)


def run(command: list[str]) -> tuple[float, float, float, str]:
    """Wall seconds, processor seconds, peak MiB and output of `avsv ...`."""
    begin = time.perf_counter()
    process = subprocess.Popen(["avsv", *command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"avsv {' '.join(command)} failed: {output[-2000:]}")
    return time.perf_counter() - begin, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output


def measure(name: str, command: list[str], before, repeats: int, wanted: str = "") -> bool:
    """Run a command and print its row; returns whether the targets are met."""
    tries = []
    for _ in range(repeats):
        before()
        tries.append(run(command))
        if wanted not in tries[-1][3]:
            sys.exit(f"avsv {' '.join(command)}: expected {wanted!r} in the output, found: {tries[-1][3][-2000:]}")
    seconds, cpu, mebibytes = min(t[0] for t in tries), min(t[1] for t in tries), max(t[2] for t in tries)
    met = seconds <= SECONDS and mebibytes <= MEBIBYTES
    print(f"{name:32}{seconds:8.2f}{cpu:8.2f}{mebibytes:8.0f}   {SECONDS:.0f} s, {MEBIBYTES:.0f} MiB"
          f"{'' if met else '   MISSED'}", flush=True)  # fmt: skip
    return met


def aside(function, *arguments) -> None:
    """Call in another process: the system counts at least the parent's peak memory for a command."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as other:
        other.submit(function, *arguments).result()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()) / "avsv-benchmark" / "data_dirs")
    parser.add_argument("--clips", type=int, default=1_200_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", metavar="TEXT", help="run only rows whose name contains TEXT")
    args = parser.parse_args()
    good, bad, fbank = (args.dir / f"{args.clips}" / name for name in ("good", "bad", "fbank"))
    if not good.exists():
        aside(make_data_dir, good, args.clips)
    if not (fbank / "4" / "done.4.json").exists():
        aside(finish_stage, good, fbank, ["feats", "vad"], asdict(Kind.of("fbank")))
    print(f"{args.clips} clips; load {os.getloadavg()[0]:.1f}\n{'':32}{'seconds':>8}{'of cpu':>8}{'MiB':>8}   target")
    met = True
    for name, command, before, wanted in (
        ("check", ["check", str(good)], None, "Successfully"),
        ("fix of a good one", ["fix", str(good)], None, f"kept {args.clips}"),
        ("fix that mends", ["fix", str(bad)], lambda: aside(break_data_dir, good, bad), f"kept {args.clips - 1}"),
        ("split into 100", ["split", str(good), "100"], lambda: shutil.rmtree(good / "split100", ignore_errors=True),
         "100 parts"),
        ("resume fbank, one job", ["features", str(good), str(fbank / "1")], None, "complete already"),
        ("resume fbank, job 4 of 4", ["features", "--shard", "4/4", str(good), str(fbank / "4")], None,
         "complete already"),
    ):  # fmt: skip
        if args.only in name:
            met &= measure(name, command, before or (lambda: None), args.repeats, wanted)
    return not met


if __name__ == "__main__":
    sys.exit(main())
