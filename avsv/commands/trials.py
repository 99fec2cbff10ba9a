"""avsv trials: list trials of a data directory: all pairs, a sample, or enrolment models of several recordings.

The list is DATA_DIR/trials/NAME; recordings of unknown people are not in it. With --blind, or if nobody is known, it is
DATA_DIR/pairs/NAME and has all pairs of recordings, without labels.

--enroll K makes a model of K recordings, drawn at random, of each person who has more, and trials of all models with
all other recordings. DATA_DIR/enroll_K has trials/NAME, enroll.map (the recordings of each model, for avsv score
--enroll-spk2utt) and utt2spk (models and recordings, for avsv report).

The report splits a list by any table: --by DATA_DIR/utt2dur, utt2modality (missing modalities), spk2gender or a column
of the table of people. For the number of enrolment recordings as a condition, make a list for each K.

example:
  avsv trials data/own
  avsv trials --sample 100000 --across-sessions --same-gender --name hard data/own
  avsv trials --enroll 3 data/own
"""

import logging
from pathlib import Path

from avsv.commands._arguments import at_least_one, at_least_zero

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--name", default="all", metavar="NAME", help="of the list (all)")
    parser.add_argument(
        "--sample", type=at_least_one, metavar="N",
        help="at most N target and N nontarget trials, drawn at random (all)",
    )  # fmt: skip
    parser.add_argument("--seed", type=at_least_zero, default=0, help="of the sample and of the models (0)")
    parser.add_argument("--across-sessions", action="store_true", help="no trials within a session (utt2vid)")
    parser.add_argument("--same-gender", action="store_true", help="no trials between genders (spk2gender, utt2gender)")
    parser.add_argument("--enroll", type=at_least_one, metavar="K", help="models of K recordings each")
    parser.add_argument("--blind", action="store_true", help="all pairs of recordings, without labels")
    parser.add_argument("data_dir", type=Path, metavar="DATA_DIR")


def run(args):
    from avsv.commands._arguments import result_options
    from avsv.errors import InputError, OptionError
    from avsv.jobs.files import replaced_together
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.tables import write_table
    from avsv.kaldi.trials import write_trials
    from avsv.people.trial_lists import Rules, draw_models, draw_pairs, number_recordings

    if "/" in args.name or args.name.startswith("."):
        raise OptionError(f'--name "{args.name}": expected the name of a file')
    data = read_data_dir(args.data_dir)
    unlabelled = {utt for utt, answer in data.table("utt2labelled").items() if answer == "no"}
    blind = args.blind or len(unlabelled) == len(data.utts)
    if args.enroll and blind:
        raise OptionError("--enroll needs recordings of known people")
    genders, of_people = data.table("utt2gender"), data.table("spk2gender")
    genders |= {utt: of_people[spk] for utt, spk in data.utt2spk.items() if spk in of_people}
    sessions = data.table("utt2vid")
    if args.across_sessions and not sessions:
        raise InputError(f"{args.data_dir}: has no utt2vid, the sessions that --across-sessions needs")
    if args.same_gender and not genders:
        raise InputError(f"{args.data_dir}: has neither spk2gender nor utt2gender, which --same-gender needs")
    folder = args.data_dir / f"enroll_{args.enroll}" if args.enroll else args.data_dir
    out = folder / ("pairs" if blind else "trials") / args.name
    tables = ("utt2spk", "utt2labelled", "utt2vid", "spk2gender", "utt2gender")
    options = result_options(args) | {"blind": blind}
    made = MadeFrom(args.verb, {"data": [args.data_dir / name for name in tables]}, options, args.seed)
    maps = [folder / "enroll.map", folder / "utt2spk"] if args.enroll else []
    if made.is_current(out, *maps):
        return
    recordings = number_recordings(data.utt2spk, unlabelled, sessions, genders)
    rules = Rules(args.across_sessions, args.same_gender)
    with replaced_together(out):
        if args.enroll:
            trials, models = draw_models(recordings, args.enroll, rules, args.sample, args.seed)
            known = {utt: spk for utt, spk in data.utt2spk.items() if utt not in unlabelled}
            write_table(maps[0], {model: " ".join(utts) for model, utts in models.items()})
            write_table(maps[1], known | {model: known[utts[0]] for model, utts in models.items()})
        else:
            trials = draw_pairs(recordings, rules, not blind, args.sample, args.seed)
        write_trials(out, trials)
    for path in (out, *maps):
        made.write(path)
    if blind:
        log.info("%s: %d pairs without labels", out, len(trials))
    else:
        log.info("%s: %d target and %d nontarget trials", out, trials.labels.sum(), (~trials.labels).sum())
