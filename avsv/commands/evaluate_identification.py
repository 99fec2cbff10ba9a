"""avsv evaluate-identification: who is it, and is it anybody in the gallery? DIR at FAR, rank-k rates, CMC.

DIR at FAR x (open set): the share of probes of people in the gallery whose right person scores highest and above the
threshold, at the lowest threshold that at most a share x of the strangers' probes exceed. Rank k (closed set): the
share whose right person is among the k highest scores. Intervals are 95 % confidence intervals for other people in the
probes; those of DIR include the uncertainty of the threshold. The last line says which FAR the strangers cannot show.

--gallery lists each person's enrolment recordings: "person recording recording ..." (spk2utt, CN-Celeb's enroll.map), a
NIST model table, or VoxBlink2's gallery. --probes has lines "recording person", as utt2spk and VoxBlink2's probe lists
do; a person outside the gallery is a stranger. With --leave-out every probe of a known person also counts as a
stranger's, in the gallery without that person.

A system is NAME=SCORES, with lines "person probe score" for everybody in the gallery; or NAME=FILE.scp, the cosine of
embeddings with the mean of a person's recordings, computed in blocks for galleries of any size; or
NAME=MODEL.json:A+B, the systems A and B given before, fused by a model of avsv fuse.

--by FILE also measures subsets of the known probes, by a table "recording value" (utt2dur, utt2modality) or "person
value" (such as the number of enrolment recordings); numbers are cut at their quartiles.

example:
  avsv evaluate-identification --gallery data/gallery/spk2utt --probes data/probes/utt2spk voice=exp/voice/embedding.scp
  avsv evaluate-identification --gallery ossi/large/perspk3/gallery --probes ossi/large/perspk3/probe --missing rest \\
    --plot cmc.svg voice=exp/voice/embedding.scp face=exp/face/embedding.scp both=exp/fused.json:voice+face
"""

from pathlib import Path

from avsv.commands._arguments import Priors, add_missing, at_least_one, result_options

PICTURES = (".svg", ".png", ".pdf")


def add_arguments(parser):
    parser.add_argument(
        "--gallery", type=Path, required=True, metavar="FILE", help="person recording recording ..., or another form"
    )
    parser.add_argument(
        "--probes", type=Path, required=True, metavar="FILE", help="recordings to identify: recording person"
    )
    parser.add_argument(
        "--utt2spk", type=Path, metavar="FILE",
        help="speakers of the strangers' recordings, if --probes has one label for all, for the intervals",
    )  # fmt: skip
    parser.add_argument(
        "--far", nargs="+", action=Priors, rest="more_systems", default=[0.1, 0.01, 0.001], metavar="X",
        help="false alarm rates (0.1 0.01 0.001)",
    )  # fmt: skip
    parser.add_argument(
        "--rank", type=at_least_one, action="append", metavar="K", help="rank to report; may be repeated (1 and 5)"
    )
    parser.add_argument(
        "--leave-out", action="store_true", help="known people are strangers too, in the gallery without them"
    )
    parser.add_argument(
        "--by", type=Path, action="append", default=[], metavar="FILE",
        help="table of recordings or people that splits the known probes into subsets; may be repeated",
    )  # fmt: skip
    add_missing(parser, "recordings without an embedding and pairs without a score", "error", "rest")
    parser.add_argument("--json", type=Path, metavar="OUT", help="also write the rates there")
    parser.add_argument("--markdown", type=Path, metavar="OUT", help="also write the tables there as Markdown")
    parser.add_argument("--plot", type=Path, metavar="OUT", help="draw CMC and DIR over FAR: OUT.svg, .png or .pdf")
    parser.add_argument("systems", nargs="*", metavar="NAME=SYSTEM", help="score file, embedding.scp or MODEL.json:A+B")
    parser.set_defaults(fail=parser.error, more_systems=[])


def run(args):
    from avsv.evaluation.identification_plot import plot_identification
    from avsv.evaluation.identification_tables import identification_markdown, identification_text
    from avsv.jobs.files import whole_file, write_json
    from avsv.jobs.provenance import MadeFrom
    from avsv.people.open_set import make_systems, measure_systems, read_open_set, system_files

    given = system_sources(args)
    if args.plot and args.plot.suffix not in PICTURES:
        args.fail(f"argument --plot: expected a name that ends in {', '.join(PICTURES)}, found {args.plot}")
    at_ranks = args.rank or [1, 5]
    files = {f"system {name}": system_files(source) for name, source in given.items()}
    inputs = {"gallery": args.gallery, "probes": args.probes, "people": args.utt2spk, "by": args.by, **files}
    made = MadeFrom(
        args.verb, inputs, {**result_options(args), "far": args.far, "ranks": at_ranks, "systems": [*given]}
    )
    lists = read_open_set(args.gallery, args.probes, args.utt2spk)
    systems = make_systems(lists, given, args.missing)
    rows = measure_systems(lists, systems, args.far, at_ranks, args.leave_out, args.by)
    print(identification_text(rows))
    if args.json:
        write_json(args.json, rows)
    if args.markdown:
        with whole_file(args.markdown) as out:
            out.write(identification_markdown(rows))
    if args.plot:
        with whole_file(args.plot, "wb") as out:
            plot_identification(rows).savefig(out, format=args.plot.suffix[1:])
    for out in (args.json, args.markdown, args.plot):
        if out:
            made.write(out)


def system_sources(args) -> dict[str, str]:
    """Name of each system -> what it is made of; exits with a usage message for malformed arguments."""
    sources = {}
    for text in [*args.systems, *args.more_systems]:
        name, separator, source = text.partition("=")
        if not (name and separator and source) or "+" in name:
            args.fail(f'expected NAME=SCORES, NAME=FILE.scp or NAME=MODEL.json:A+B, found "{text}"')
        if name in sources:
            args.fail(f'two systems have the name "{name}": {sources[name]} and {source}')
        sources[name] = source
    if not sources:
        args.fail("the following arguments are required: NAME=SYSTEM")
    return sources
