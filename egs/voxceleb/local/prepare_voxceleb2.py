#!/usr/bin/env python3
"""Create data directories of VoxCeleb2: training people; held-out and validation people, with trial lists.

Reads, and never writes to, the corpus (PART is dev or test):
  PART/aac/ID/VIDEO/CLIP.m4a   audio; may be converted to wav, flac or ogg, here or in PART/wav/. If a clip has several
                               forms, the original m4a is used. Without either folder, the mp4 files provide the audio
  PART/mp4/ID/VIDEO/CLIP.mp4   faces
  PART/txt/ID/VIDEO/CLIP.txt   only with --landmarks: key points of the face in each frame
  vox2_meta.csv                gender

example: local/prepare_voxceleb2.py --held-out 40 --held-out-dir data/dev /corpora/voxceleb2 data/vox2
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from corpus import find_clips, log, need, read_meta, run, write_set

from avsv.errors import InputError
from avsv.kaldi.tables import read_lines, read_table
from avsv.kaldi.trials import Trials, read_trials, write_trials

AUDIO = (".m4a", ".wav", ".flac", ".ogg")


def split_people(genders: dict[str, str], people: list[str], n_held_out: int, seed: int) -> set[str]:
    """Draw the held-out people, half of each gender."""
    rng = np.random.default_rng(seed)
    chosen: set[str] = set()
    for index, gender in enumerate(("f", "m")):
        pool = [spk for spk in people if genders.get(spk) == gender]
        wanted = min((n_held_out + 1 - index) // 2, len(pool))
        chosen |= {str(spk) for spk in rng.choice(pool, wanted, replace=False)} if wanted else set()
    return chosen


def refuse_old_people(folder: Path | None, elsewhere: set[str]) -> None:
    """Raise InputError if people of an earlier run, still in their folder, are in another set now."""
    if folder is None or not (folder / "utt2spk").exists():
        return
    if both := sorted(set(read_table(folder / "utt2spk", 2, "utterance speaker").values()) & elsewhere):
        raise InputError(
            f"{folder}: contains {len(both)} people who are now in another set, such as {both[0]}; delete it"
        )


def read_people(path: Path, known: list[str]) -> set[str]:
    """Ids, one a line; raises InputError for one that is not in the corpus."""
    lines = [line.strip() for line in read_lines(path)]
    for number, person in enumerate(lines, 1):
        if person and person not in known:
            raise InputError(f"{path}, line {number}: expected the id of a person of the corpus, found {person!r}")
    return set(lines) - {""}


def make_trials(utts: list[str], seed: int, most: int = 20000) -> Trials:
    """Draw targets across videos, and up to 4 nontargets for each, from all pairs of clips; at most `most` of each.

    Sorted by person and video, a clip's targets lie between the end of its video and the end of its person, and its
    nontargets after that. So the billions of pairs of a thousand people are never listed.

    Parameters
    ----------
    utts : names ID-VIDEO-CLIP
    """
    rng = np.random.default_rng(seed)
    named = sorted((utt.partition("-")[0], utt.rpartition("-")[0], utt) for utt in utts)
    people, videos, utts = zip(*named, strict=True)
    end_of_person, end_of_video = last_of_group(people), last_of_group(videos)
    target = draw_pairs(rng, end_of_video, end_of_person, most)
    nontarget = draw_pairs(rng, end_of_person, np.full(len(utts), len(utts)), min(most, max(len(target), 1) * 4))
    pairs, labels = np.concatenate([target, nontarget]), np.arange(len(target) + len(nontarget)) < len(target)
    order = np.lexsort(pairs.T[::-1])
    return Trials(list(utts), list(utts), pairs[order], labels[order])


def last_of_group(names: Sequence[str]) -> np.ndarray:
    """(n,) int: for each item of a list in which equal names are together, the place after the last of its name."""
    starts = [place for place, name in enumerate(names) if not place or name != names[place - 1]]
    ends = np.array([*starts[1:], len(names)])
    return np.repeat(ends, np.diff([*starts, len(names)]))


def draw_pairs(rng: np.random.Generator, start: np.ndarray, stop: np.ndarray, wanted: int) -> np.ndarray:
    """Draw pairs (i, j) with start[i] <= j < stop[i] without replacement, all alike; (at most `wanted`, 2) int32."""
    ends = np.cumsum(stop - start)
    total = int(ends[-1])
    ranks = rng.choice(total, min(wanted, total), replace=False) if total else np.empty(0, int)
    first = np.searchsorted(ends, ranks, side="right")
    second = stop[first] - (ends[first] - ranks)
    return np.stack([first, second], 1).astype(np.int32)


def find_audio(part: Path) -> dict[str, Path]:
    """The clips of aac/ and wav/; aac/ wins if a clip is in both."""
    aac, wav = (find_clips(part / name, AUDIO) if (part / name).is_dir() else {} for name in ("aac", "wav"))
    if both := aac.keys() & wav.keys():
        log.warning("%s: %d clips are in aac/ too and left out, such as %s", part / "wav", len(both), min(both))
    return wav | aac


def main(args):
    corpus = need(args.corpus.resolve(), "the folder of VoxCeleb2")
    part = need(corpus / args.part, f"the part {args.part}/ of VoxCeleb2")
    video = find_clips(need(part / "mp4", f"{args.part}/mp4/ID/VIDEO/CLIP.mp4 of VoxCeleb2"), (".mp4",))
    wav = find_audio(part) or dict(video)
    if not wav:
        raise InputError(f"{part}: contains neither aac/ID/VIDEO/CLIP.m4a (or .wav) nor mp4/ID/VIDEO/CLIP.mp4")
    genders = read_meta(need(corpus / "vox2_meta.csv", "VoxCeleb2's meta file"), "VoxCeleb2 ID", "Gender")
    people = sorted({utt.partition("-")[0] for utt in wav.keys() | video.keys()})
    validation = read_people(args.validation, people) if args.validation else set()
    others = [person for person in people if person not in validation]
    held_out = split_people(genders, others, args.held_out, args.seed)
    if (held_out or validation) and len(others) - len(held_out) < 2:
        raise InputError(f"{part}: has {len(people)} people; --held-out {args.held_out} and {len(validation)} people "
                         "for validation leave too few to train on")  # fmt: skip
    if not held_out:
        refuse_old_people(args.held_out_dir, set(people))
    if not validation:
        refuse_old_people(args.validation_dir, set(people))
    landmarks = find_clips(need(part / "txt", "key points of each frame"), (".txt",)) if args.landmarks else {}
    held_out_dir = args.held_out_dir or Path("data/dev")
    validation_dir = args.validation_dir or Path("data/validation")
    for out_dir, chosen in (
        (args.out_dir, set(others) - held_out), (held_out_dir, held_out), (validation_dir, validation)
    ):  # fmt: skip
        if not chosen:
            continue
        audio, faces, points = ({u: p for u, p in clips.items() if u.partition("-")[0] in chosen}
                                for clips in (wav, video, landmarks))  # fmt: skip
        more = {"landmarks.scp": {utt: str(path) for utt, path in points.items()}} if points else {}
        write_set(out_dir, audio, faces, genders, args.jobs, more)
        if out_dir != args.out_dir:
            write_trials(out_dir / "trials" / out_dir.name, make_trials(sorted(audio.keys() | faces.keys()), args.seed))
    if args.trials:
        trials = read_trials(args.trials)
        write_trials(args.out_dir / "trials" / args.out_dir.name, trials)
        log.info("%s: %d trials", args.out_dir.name, len(trials))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--part", default="dev", help="dev or test (default: dev)")
    parser.add_argument("--held-out", type=int, default=0, metavar="N", help="people left out of OUT_DIR (default: 0)")
    parser.add_argument("--held-out-dir", type=Path, metavar="DIR", help="folder of these people (default: data/dev)")
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="FILE",
        help="ids, one a line: people to choose settings on, in no other set",
    )
    parser.add_argument(
        "--validation-dir", type=Path, metavar="DIR", help="folder of these people (default: data/validation)"
    )
    parser.add_argument("--trials", type=Path, help="a trial list of this part, copied to trials/NAME in OUT_DIR")
    parser.add_argument("--landmarks", action="store_true", help="write landmarks.scp, from the key points in txt/")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of people and trials (default: 0)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="processes that read lengths (default: all cores)"
    )
    run(main, parser)
