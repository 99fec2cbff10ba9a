#!/usr/bin/env python3
"""Split data directories into the sets of face-voice association: train, seen, valid, unseen.

People are split into training, validation and unseen (never seen or heard in training), by the published split of
VoxCeleb1 (--splits: lines "NAME 1|2|3|4", 1 and 3 training, 2 validation, 4 unseen; 901, 100 and 250 people) or at
random with a seed (--counts). If a training person has two or more videos, the last one by name goes to the set "seen":
new clips of people known from training.

examples:
  local/prepare_association.py --splits identity_splits.txt --meta vox1_meta.csv data/vox1 data/association
  local/prepare_association.py --counts 46 6 22 data/vox1 data/vox2 data/association
"""

import argparse
from pathlib import Path

import numpy as np
from corpus import log, need, read_meta, run

from avsv.errors import InputError
from avsv.kaldi.data_dir import DataDir, read_data_dir, write_data_dir
from avsv.kaldi.tables import read_lines, write_table

BY_UTT = ("utt2vid", "utt2dur", "landmarks.scp")
BY_PERSON = ("spk2gender", "spk2nationality", "spk2age")
SETS = {"1": "train", "3": "train", "2": "valid", "4": "unseen"}


def read_splits(path: Path, names: dict[str, str]) -> dict[str, str]:
    """Read person -> set from the published file; `names` maps names to identifiers."""
    set_of = {}
    for number, line in enumerate(read_lines(path), 1):
        fields = line.split()
        if len(fields) != 2 or fields[1] not in SETS:
            raise InputError(f'{path}, line {number}: expected "NAME 1|2|3|4", found "{line.strip()}"')
        set_of[names.get(fields[0], fields[0])] = SETS[fields[1]]
    return set_of


def draw_splits(people: dict[str, str], counts: list[int], seed: int) -> dict[str, str]:
    """Draw person -> set at random; the genders are as balanced as possible in each set.

    people : person -> gender
    """
    if sum(counts) > len(people):
        raise InputError(f"--counts {' '.join(map(str, counts))}: the sets need {sum(counts)} people, but only "
                         f"{len(people)} have both voice and face")  # fmt: skip
    rng = np.random.default_rng(seed)
    pools = [list(rng.permutation([spk for spk in sorted(people) if people[spk] == gender])) for gender in "fm"]
    # alternate women and men while both last; any slice of the list is then balanced
    row = [spk for pair in zip(*pools, strict=False) for spk in pair]
    row += [spk for pool in pools for spk in pool[len(row) // 2 :]]
    names = np.repeat(["unseen", "valid", "train"], [counts[2], counts[1], counts[0]])
    return {str(spk): str(name) for spk, name in zip(row, names, strict=False)}


def last_videos(utt2spk: dict[str, str], utt2vid: dict[str, str]) -> set[str]:
    """The last video of each person with several videos."""
    videos: dict[str, set[str]] = {}
    for utt, spk in utt2spk.items():
        videos.setdefault(spk, set()).add(utt2vid.get(utt, utt))
    return {max(of) for of in videos.values() if len(of) > 1}


def join(data: list[DataDir], name: str) -> dict[str, str]:
    """Merge one table of several data directories; empty if any of them lacks it."""
    tables = [one.table(name) for one in data]
    return {key: value for table in tables for key, value in table.items()} if all(tables) else {}


def main(args):
    data = [read_data_dir(folder) for folder in args.data_dirs]
    utt2spk = {utt: spk for one in data for utt, spk in one.utt2spk.items()}
    if len(utt2spk) < sum(len(one.utts) for one in data):
        raise InputError(f"{' '.join(map(str, args.data_dirs))}: these data directories share clips")
    wav, video = (
        {utt: where for one in data for utt, where in getattr(one, kind).items()} for kind in ("wav", "video")
    )
    both = {utt2spk[utt] for utt in wav} & {utt2spk[utt] for utt in video}
    names = read_meta(need(args.meta, "VoxCeleb1's meta file"), "VGGFace1 ID", "VoxCeleb1 ID") if args.meta else {}
    if names:
        write_table(args.out_dir / "ids", names)
    genders = join(data, "spk2gender")
    if args.splits:
        set_of = {spk: name for spk, name in read_splits(args.splits, names).items() if spk in both}
    else:
        set_of = draw_splits({spk: genders.get(spk, "m") for spk in both}, args.counts, args.seed)
    log.info("%d people have both voice and face; %d of them belong to no set", len(both), len(both - set_of.keys()))
    tables = {name: join(data, name) for name in (*BY_UTT, *BY_PERSON)}
    held = last_videos({u: spk for u, spk in utt2spk.items() if set_of.get(spk) == "train"}, tables["utt2vid"])
    for name in ("train", "seen", "valid", "unseen"):
        people = {spk for spk, where in set_of.items() if where == ("train" if name == "seen" else name)}
        chosen = {utt: spk for utt, spk in utt2spk.items() if spk in people}
        if name in ("train", "seen"):
            chosen = {u: s for u, s in chosen.items() if (tables["utt2vid"].get(u, u) in held) == (name == "seen")}
        if not chosen:
            raise InputError(f"the set {name} would be empty: change --counts")
        parts = {"utt2spk": chosen, "wav.scp": wav, "video.scp": video, **{key: tables[key] for key in BY_UTT}}
        parts = {key: {u: value for u, value in table.items() if u in chosen} for key, table in parts.items()}
        speakers = set(chosen.values())
        parts |= {key: {spk: tables[key][spk] for spk in speakers if spk in tables[key]} for key in BY_PERSON}
        write_data_dir(args.out_dir / name, {key: table for key, table in parts.items() if table})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dirs", type=Path, nargs="+", metavar="DATA_DIR")
    parser.add_argument("out_dir", type=Path)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--splits", type=Path, metavar="FILE", help="the published split of people")
    how.add_argument("--counts", type=int, nargs=3, metavar="N", help="people for training, validation, unseen test")
    parser.add_argument("--meta", type=Path, metavar="FILE", help="vox1_meta.csv: identifiers of the split's names")
    parser.add_argument("--seed", type=int, default=0, help="of a random split (default: 0)")
    run(main, parser)
