"""avsv synchrony evaluate: EER, AUC and AP over folds of people, errors of offsets and of the speaker found.

Each --system is a folder from avsv synchrony score, DIR or NAME=DIR. Of its single pieces of 0.2 or 0.3 s, genuine
pairs are told from impostors whose sound is --shift seconds earlier or later, in --folds folds of people; mean and
standard deviation over the folds are printed. The shift that is taken is the nearest one that the network's steps
have: SyncNet's are of 40 ms, so that 0.1 s is 0.12 s. Further, for the system named last:
  --offsets TABLE DIR     clips whose sound was shifted, "utt seconds" it is late by, and what score-sync said of them:
                          the share whose offset is found within a frame (40 ms)
  --replaced DIR          the same clips with somebody else's sound: told apart by confidence, and by threshold
  --speakers TABLE BOXES  clips with several faces, "utt x y" of the one who speaks, and what active-speaker --table
                          said: the share in which that face was found

example:
  avsv synchrony evaluate --utt2spk data/test/utt2spk --system exp/syncnet/test --system exp/coupled_cnn/test
  avsv synchrony evaluate --utt2spk data/test/utt2spk --system exp/syncnet/test --replaced exp/syncnet/test_replaced
"""

import argparse
from pathlib import Path

from avsv.commands._arguments import at_least_one, not_negative


class OfSystem(argparse.Action):
    """An option that belongs to the system named before it."""

    def __call__(self, parser, namespace, values, option_string=None):
        if not namespace.systems:
            parser.error(f"{option_string} goes after the DIR of its system")
        namespace.systems[-1][1][self.dest] = values


class Systems(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        namespace.systems.append((values, {}))


def add_arguments(parser):
    parser.add_argument("--utt2spk", type=Path, required=True, help="who is in which clip")
    parser.add_argument(
        "--shift", type=not_negative, nargs="+", default=[0.5], metavar="SECONDS", help="of impostors (0.5)"
    )
    parser.add_argument("--folds", type=at_least_one, default=10, help="of people (10)")
    parser.add_argument("--json", type=Path, help="write all measures")
    parser.add_argument("--system", required=True, dest="systems", action=Systems, metavar="[NAME=]DIR",
                        help="what score-sync wrote; repeatable")  # fmt: skip
    parser.add_argument("--offsets", action=OfSystem, nargs=2, metavar=("TABLE", "DIR"), help="see above")
    parser.add_argument("--replaced", action=OfSystem, type=Path, metavar="DIR", help="see above")
    parser.add_argument("--speakers", action=OfSystem, nargs=2, metavar=("TABLE", "BOXES"), help="see above")
    parser.set_defaults(systems=[])


def run(args):
    from avsv.evaluation.tables import aligned
    from avsv.jobs.files import write_json
    from avsv.kaldi.tables import read_table
    from avsv.systems.synchrony.evaluation import (
        offset_measures,
        pair_measures,
        read_numbers,
        replaced_measures,
        speaker_measures,
    )

    utt2spk = read_table(args.utt2spk, 2, "utterance speaker")
    records = []
    rows = [["system", "shift s", "taken s", "EER %", "AUC %", "AP %", "pairs"]]
    more = []
    for named, options in args.systems:
        name, _, folder = named.rpartition("=")
        name, folder = name or folder, Path(folder)
        record = {"system": name, "pairs": []}
        for shift in args.shift:
            found = pair_measures(folder, utt2spk, shift, args.folds)
            record["pairs"].append(found)
            taken = ", ".join(f"{offset:+g}" for offset in found["shift_taken"])
            shown = [f"{found[f'{k}_percent']:.2f} +- {found[f'{k}_sd']:.2f}" for k in ("eer", "auc", "ap")]
            rows.append([name, f"{shift:g}", taken, *shown, f"{found['n_genuine']} + {found['n_impostor']}"])
        if "offsets" in options:
            table, place = options["offsets"]
            record["offsets"] = offset_measures(Path(place), read_numbers(table))
            more.append("{}: offset within a frame in {within_frame_percent:.1f} % of {clips} shifted clips".format(
                name, **record["offsets"]))  # fmt: skip
        if "replaced" in options:
            record["replaced"] = replaced_measures(folder, options["replaced"])
            more.append("{}: sound replaced: EER {eer_percent:.1f} %; flagged {flagged_percent:.1f} %, and of the "
                        "untouched clips passed {passed_percent:.1f} %".format(name, **record["replaced"]))  # fmt: skip
        if "speakers" in options:
            places, boxes = map(read_table, options["speakers"])
            record["speakers"] = speaker_measures(boxes, places)
            more.append("{}: the speaker among the faces found in {right_percent:.1f} % of {clips} clips".format(
                name, **record["speakers"]))  # fmt: skip
        records.append(record)
    print(aligned(rows))
    print("\n".join(more))
    if args.json:
        write_json(args.json, records)
