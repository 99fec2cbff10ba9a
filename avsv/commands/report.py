"""avsv report: one table of all systems of an experiment, and DET plots.

It evaluates every EXP_DIR/SYSTEM/scores/LIST[@CONDITION].BACKEND against the list of that name in --trials-dir;
without @CONDITION it is "clean", and BACKEND cosine_as-norm is shown as cosine+as-norm. It writes OUT_DIR/results.json,
results.md and det_LIST@CONDITION.png with the best back-end of each system.

example:
  avsv report --trials-dir data/vox1/trials exp exp/results
"""

import logging
from pathlib import Path

from avsv.commands._arguments import Priors

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--trials-dir", type=Path, required=True, metavar="DIR", help="folder of labelled trial lists")
    parser.add_argument(
        "--p-target", nargs="+", action=Priors, rest="more_folders", default=[0.01, 0.05], metavar="P",
        help="target priors of minDCF (0.01 0.05)",
    )  # fmt: skip
    parser.add_argument("--utt2spk", type=Path, metavar="FILE", help="who is in each recording, for the intervals")
    parser.add_argument("--resamples", type=int, default=1000, metavar="N", help="of the intervals; 0: none (1000)")
    parser.add_argument("folders", nargs="*", metavar="EXP_DIR OUT_DIR", help="where the systems are; where to write")
    parser.set_defaults(fail=parser.error, more_folders=[])


def run(args):
    from avsv.evaluation.results import by_table, find_lists, find_score_files, markdown, measure_all, write_markdown
    from avsv.evaluation.results_plots import plot_tables
    from avsv.files import write_json

    folders = [Path(folder) for folder in (*args.folders, *args.more_folders)]
    if len(folders) != 2:
        args.fail("expected two folders: EXP_DIR OUT_DIR")
    exp_dir, out_dir = folders
    lists = find_lists(args.trials_dir)
    files = find_score_files(exp_dir, lists)
    records = measure_all(files, lists, args.p_target, args.utt2spk, args.resamples)
    write_json(out_dir / "results.json", records)
    write_markdown(out_dir / "results.md", records)
    plot_tables(out_dir, files, records, lists)
    print(markdown(records), end="")
    log.info("%s: %d results in %d tables", out_dir, len(records), len(by_table(records)))
