#!/usr/bin/env python3
"""Report files that probably show the same person, and labels that are probably wrong.

Reads DATA_DIR (of avsv prepare) and the log-likelihood ratios of DATA_DIR/pairs/all. Writes OUT_DIR/same_person.tsv,
OUT_DIR/suspects.tsv and OUT_DIR/people.md, and prints the latter.

example: local/report_people.py data/own exp/logistic/own/pairs.cosine exp/results
"""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "voxceleb/local"))
from corpus import run

from avsv.evaluation.dcf import bayes_threshold
from avsv.jobs.files import whole_file
from avsv.jobs.provenance import MadeFrom
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.scores import read_scores
from avsv.kaldi.trials import read_trials
from avsv.people.suspects import find_suspects, group_recordings, ratio_matrix

SHOWN = 20  # lines of each kind


def main(args):
    pairs = args.data_dir / "pairs/all"
    data = read_data_dir(args.data_dir)
    made = MadeFrom("report people", {"scores": args.scores, "trials": pairs, "people": args.data_dir / "utt2spk"},
                    {"p_target": args.p_target, "p_wrong": args.p_wrong})  # fmt: skip
    outputs = [args.out_dir / name for name in ("people.md", "suspects.tsv", "same_person.tsv")]
    if made.is_current(*outputs):
        show(args.out_dir)
        return
    labelled, file_of, name_of = (data.table(name) for name in ("utt2labelled", "utt2file", "spk2name"))
    trials, utts = read_trials(pairs), data.utts
    people = {utt: spk for utt, spk in data.utt2spk.items() if labelled.get(utt) != "no"}
    threshold = float(bayes_threshold(args.p_target))
    matrix = ratio_matrix(trials, read_scores(args.scores, trials), utts)
    suspects = find_suspects(matrix, utts, people, float(bayes_threshold(args.p_wrong)))
    trusted = {utt: spk for utt, spk in people.items() if utt not in {one.recording for one in suspects}}
    groups = group_recordings(matrix, utts, trusted, threshold)

    def shown(spk):
        return name_of.get(spk, spk)

    wrong = [[file_of.get(one.recording, one.recording), shown(one.label), shown(one.person) or "nobody here",
              f"{one.own:.1f}", f"{one.other:.1f}"] for one in suspects]  # fmt: skip
    same = []
    for number, group in enumerate(groups, 1):
        members = [("person", shown(spk)) for spk in group.people]
        members += [("file", file_of.get(utt, utt)) for utt in group.recordings]
        same += [[str(number), f"{group.ratio:.1f}", *member] for member in members]
    args.out_dir.mkdir(parents=True, exist_ok=True)
    write_rows(args.out_dir / "suspects.tsv", ["file", "label", "resembles", "own", "other"], wrong)
    write_rows(args.out_dir / "same_person.tsv", ["group", "ratio", "kind", "name"], same)
    lines = [f"{len(utts)} recordings, {len(set(people.values()))} people known; decisions at a prior of "
             f"{args.p_target:g}, a log-likelihood ratio of {threshold:.1f}.\n"]  # fmt: skip
    lines.append("\n## Probably the same person\n\n")
    for group in groups[:SHOWN]:
        names = [f"**{shown(spk)}**" for spk in group.people] + [file_of.get(utt, utt) for utt in group.recordings]
        lines.append(f"- {', '.join(names)} (log-likelihood ratio {group.ratio:.1f})\n")
    lines += [] if groups else ["None.\n"]
    lines += [f"\nAnd {len(groups) - SHOWN} more, in same_person.tsv.\n"] if len(groups) > SHOWN else []
    if people:
        lines.append("\n## Labels that are probably wrong\n\n")
        for file, label, resembles, own, other in wrong[:SHOWN]:
            lines.append(f"- {file}: is called **{label}** (ratio {own}), resembles **{resembles}** (ratio {other})\n")
        lines += [] if wrong else ["None.\n"]
        lines += [f"\nAnd {len(wrong) - SHOWN} more, in suspects.tsv.\n"] if len(wrong) > SHOWN else []
    if np.isnan(matrix).sum() > len(utts):
        lines.append("\nThe list of pairs is a sample: groups and suspects rest on a part of the pairs.\n")
    with whole_file(args.out_dir / "people.md") as out:
        out.writelines(lines)
    for path in outputs:
        made.write(path)
    show(args.out_dir)


def show(out_dir):
    """Print the report and where to find it."""
    print((out_dir / "people.md").read_text(encoding="utf-8"))
    for name in ("people.md", "index.html"):
        if (out_dir / name).exists():
            print(f"see {(out_dir / name).resolve()}")


def write_rows(path, header, rows):
    with whole_file(path) as out:
        lines = csv.writer(out, "excel-tab", lineterminator="\n")
        lines.writerows([header, *rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("scores", type=Path, help="log-likelihood ratios of DATA_DIR/pairs/all")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--p-target", type=float, default=0.01, help="prior of the same person (default: 0.01)")
    parser.add_argument("--p-wrong", type=float, default=0.01, help="prior of a wrong label (default: 0.01)")
    run(main, parser)
