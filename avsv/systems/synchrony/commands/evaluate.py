"""avsv synchrony evaluate: EER, AUC and AP over folds of people; accuracy of offsets and active speakers.

Each --system is a folder from avsv synchrony score, DIR or NAME=DIR. Its single cubes of 0.2 or 0.3 s are scored as
genuine pairs against impostor pairs with the audio --shift seconds earlier or later, in --folds folds of people; the
mean and standard deviation over the folds are printed. The shift is rounded to the network's steps: SyncNet has steps
of 40 ms and takes 0.12 s for 0.1 s. The following options apply to the --system before them:
  --offsets TABLE DIR     clips with shifted audio: TABLE has lines "utt seconds" with the delay of the audio, DIR is
                          from avsv synchrony score; measures the share of offsets found within one frame (40 ms)
  --replaced DIR          the same clips with another person's audio: detection by the confidence, and by the threshold
  --speakers TABLE BOXES  clips with several faces: TABLE has lines "utt x y" with the position of the speaker, BOXES is
                          from avsv synchrony active-speaker --table; measures the share of speakers found

example:
  avsv synchrony evaluate --utt2spk data/test/utt2spk --system exp/syncnet/test --system exp/coupled_cnn/test
  avsv synchrony evaluate --utt2spk data/test/utt2spk --system exp/syncnet/test --replaced exp/syncnet/test_replaced
"""

import argparse
from pathlib import Path

from avsv.commands._arguments import at_least_one, not_negative


class OfSystem(argparse.Action):
    """An option of the system named before it."""

    def __call__(self, parser, namespace, values, option_string=None):
        if not namespace.systems:
            parser.error(f"{option_string}: expected --system before it")
        namespace.systems[-1][1][self.dest] = values


class Systems(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        namespace.systems.append((values, {}))


def add_arguments(parser):
    parser.add_argument("--utt2spk", type=Path, required=True, help="the person in each clip")
    parser.add_argument(
        "--shift", type=not_negative, nargs="+", default=[0.5], metavar="SECONDS", help="shifts of impostor audio (0.5)"
    )
    parser.add_argument("--folds", type=at_least_one, default=10, help="number of folds of people (10)")
    parser.add_argument("--json", type=Path, help="write all results")
    parser.add_argument("--system", required=True, dest="systems", action=Systems, metavar="[NAME=]DIR",
                        help="a folder from avsv synchrony score; repeatable")  # fmt: skip
    parser.add_argument(
        "--offsets", action=OfSystem, nargs=2, metavar=("TABLE", "DIR"), help="clips with shifted audio"
    )
    parser.add_argument("--replaced", action=OfSystem, type=Path, metavar="DIR", help="the clips with replaced audio")
    parser.add_argument(
        "--speakers", action=OfSystem, nargs=2, metavar=("TABLE", "BOXES"), help="clips with several faces"
    )
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
    lines = []
    for named, options in args.systems:
        name, _, folder = named.rpartition("=")
        name, folder = name or folder, Path(folder)
        record = {"system": name, "pairs": []}
        for shift in args.shift:
            measures = pair_measures(folder, utt2spk, shift, args.folds)
            record["pairs"].append(measures)
            taken = ", ".join(f"{offset:+g}" for offset in measures["shift_taken"])
            shown = [f"{measures[f'{k}_percent']:.2f} +- {measures[f'{k}_sd']:.2f}" for k in ("eer", "auc", "ap")]
            rows.append([name, f"{shift:g}", taken, *shown, f"{measures['n_genuine']} + {measures['n_impostor']}"])
        if "offsets" in options:
            table, place = options["offsets"]
            record["offsets"] = offsets = offset_measures(Path(place), read_numbers(table))
            lines.append(f"{name}: offset found within one frame in {offsets['within_frame_percent']:.1f} % of "
                         f"{offsets['clips']} shifted clips")  # fmt: skip
        if "replaced" in options:
            record["replaced"] = replaced = replaced_measures(folder, options["replaced"])
            lines.append(f"{name}: replaced audio: EER {replaced['eer_percent']:.1f} %; flagged "
                         f"{replaced['flagged_percent']:.1f} %, original clips passed "
                         f"{replaced['passed_percent']:.1f} %")  # fmt: skip
        if "speakers" in options:
            places, boxes = map(read_table, options["speakers"])
            record["speakers"] = speakers = speaker_measures(boxes, places)
            lines.append(f"{name}: active speaker found in {speakers['right_percent']:.1f} % of {speakers['clips']} "
                         "clips")  # fmt: skip
        records.append(record)
    print(aligned(rows))
    print("\n".join(lines))
    if args.json:
        write_json(args.json, records)
