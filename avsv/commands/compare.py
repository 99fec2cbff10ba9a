"""avsv compare: compare systems on the same trials, with paired intervals and published results.

Each NAME=SCORES is the score file of a system. All systems are compared with the reference, by default the first one:
the difference, its paired 95 % interval over speakers (from the errors that only one of the two makes), the relative
change, and the share of resamples in which the order of the two systems is reversed ("better loses").

--published FILE adds columns with results from papers, which are not measured here. FILE is tab separated with a
header: list system eer_percent min_dcf p_target source (min_dcf and p_target are optional). "-" means not given; #
starts a comment. Only lines of this list are used: the file name of --trials, or --list.

example:
  avsv compare --trials data/vox1/trials/vox1-O --published published.tsv --markdown exp/results/compare.md \\
    ecapa=exp/voice/scores/vox1-O.cosine fusion=exp/avn_e/scores/vox1-O.cosine baseline=wespeaker.score
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_intervals, add_p_target, add_trials

log = logging.getLogger("avsv")


def add_arguments(parser):
    add_trials(parser, labelled=True)
    parser.add_argument("--reference", metavar="NAME", help="system to compare the others with (the first)")
    add_p_target(parser, "more_systems")
    add_intervals(parser)
    parser.add_argument("--published", type=Path, metavar="FILE", help="results from papers, shown in separate columns")
    parser.add_argument("--list", metavar="LIST", help="the list's name in --published (the file name of --trials)")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the comparison there")
    parser.add_argument("--markdown", type=Path, metavar="OUT", help="also write the tables there as Markdown")
    parser.add_argument("systems", nargs="*", metavar="NAME=SCORES", help="a system's name and its score file")
    parser.set_defaults(fail=parser.error, more_systems=[])


def run(args):
    from avsv.evaluation.bootstrap import bootstrap
    from avsv.evaluation.comparison import compare, comparison_markdown, comparison_text
    from avsv.jobs.files import whole_file, write_json
    from avsv.jobs.provenance import refuse_stale
    from avsv.kaldi.scores import read_scores

    paths = system_paths(args)
    refuse_stale(*paths.values())
    published = read_figures(args)
    trials = read_two_classes(args.trials)
    scores = {name: read_scores(path, trials) for name, path in paths.items()}
    resamples = bootstrap(trials, args.utt2spk, args.resamples)
    rows = compare(scores, trials.labels, resamples, args.p_target, args.reference)
    print(comparison_text(rows, resamples, published))
    if args.json:
        figures = [vars(figure) for figure in published]
        systems = [{"scores": paths[row["system"]]} | row for row in rows]
        write_json(args.json, {"trials": str(args.trials), "systems": systems, "published": figures})
    if args.markdown:
        heading = [f"# Systems compared on {args.list or args.trials.name}", ""]
        with whole_file(args.markdown) as out:
            out.write("\n".join([*heading, *comparison_markdown(rows, resamples, published)]))


def system_paths(args) -> dict[str, str]:
    """Name of each system -> score file; exits with a usage message for malformed arguments."""
    paths = {}
    for text in [*args.systems, *args.more_systems]:
        name, separator, path = text.partition("=")
        if not (name and separator and path):
            args.fail(f'expected NAME=SCORES, found "{text}"')
        if name in paths:
            args.fail(f'two systems have the name "{name}": {paths[name]} and {path}')
        paths[name] = path
    if not paths:
        args.fail("the following arguments are required: NAME=SCORES")
    if args.reference is not None and args.reference not in paths:
        args.fail(f'--reference: expected one of {", ".join(paths)}, found "{args.reference}"')
    return paths


def read_figures(args) -> list:
    """The published results of the list; the log counts those of other lists."""
    if not args.published:
        return []
    from avsv.evaluation.published import read_published

    name = args.list or args.trials.name
    figures = read_published(args.published)
    ours = [figure for figure in figures if figure.list == name]
    if len(ours) < len(figures):
        others = ", ".join(dict.fromkeys(figure.list for figure in figures if figure.list != name))
        log.info(
            '%s: %d of %d figures are for the list "%s"; the others are for %s',
            args.published, len(ours), len(figures), name, others,
        )  # fmt: skip
    return ours


def read_two_classes(path: Path):
    """Labelled trials; InputError if all are of one class."""
    from avsv.errors import InputError
    from avsv.kaldi.trials import read_labelled_trials

    trials = read_labelled_trials(path)
    if trials.labels.all() or not trials.labels.any():
        kind = "target" if trials.labels.all() else "nontarget"
        raise InputError(f"{path}: all {len(trials)} trials are {kind} trials, so there is nothing to compare")
    return trials
