"""avsv report: one results page for an experiment: tables, curves, subsets, worst errors; also as JSON and Markdown.

Evaluates every EXP_DIR/SYSTEM/scores/LIST[@CONDITION].BACKEND against the list of that name in --trials-dir. Without
@CONDITION the condition is "clean"; the back-end cosine_as-norm is shown as cosine+as-norm. OUT_DIR gets index.html,
which opens from disk, its audio and images in media/, results.json, results.md and det_LIST@CONDITION.svg.

Audio and images of a condition come from DIR_CONDITION, where DIR is --data.

example:
  avsv report --trials-dir data/vox1/trials --utt2spk data/vox1/utt2spk --by data/vox1/spk2gender exp exp/results
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_intervals, add_p_target

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--trials-dir", type=Path, required=True, metavar="DIR", help="folder of labelled trial lists")
    add_p_target(parser, "more_folders")
    add_intervals(parser)
    parser.add_argument(
        "--data", type=Path, metavar="DIR",
        help="data directory of the test set, for audio and faces (the parent of --trials-dir)",
    )  # fmt: skip
    parser.add_argument(
        "--by", type=Path, action="append", default=[], metavar="FILE",
        help="table of recordings or speakers that splits the trials, such as spk2gender or utt2dur; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--condition", action="append", default=[], metavar="NAME",
        help='show only this condition, such as clean or noisy-0.6; may be repeated (all that have scores)',
    )  # fmt: skip
    parser.add_argument(
        "--system", action="append", default=[], metavar="NAME",
        help="show only this system; may be repeated (all that have scores)",
    )  # fmt: skip
    parser.add_argument("--published", type=Path, metavar="FILE", help="published results, shown in a separate column")
    parser.add_argument(
        "--reference", metavar="SYSTEM[.BACKEND]",
        help="the recommended system, such as avn_e.cosine_shared_calibrated, which the headline describes and all "
        "differences refer to (lowest EER on the shortest list)",
    )  # fmt: skip
    parser.add_argument(
        "--rival", action="append", default=[], metavar="SYSTEM",
        help="the headline compares the recommended system with the best of these; may be repeated (all other systems)",
    )  # fmt: skip
    parser.add_argument("folders", nargs="*", metavar="EXP_DIR OUT_DIR", help="folder of the systems; folder to write")
    parser.set_defaults(fail=parser.error, more_folders=[])


def run(args):
    from avsv.evaluation.report.results import Options
    from avsv.evaluation.report.write import write_report

    folders = [Path(folder) for folder in (*args.folders, *args.more_folders)]
    if len(folders) != 2 or "" in (*args.folders, *args.more_folders):
        args.fail("expected two folders: EXP_DIR OUT_DIR")
    options = Options(args.p_target, args.utt2spk, args.resamples, args.by, args.reference, args.condition,
                      args.system, args.rival)  # fmt: skip
    print(write_report(*folders, args.trials_dir, options, args.data, args.published), end="", flush=True)
    log.info("the page: %s", (folders[1] / "index.html").resolve())
