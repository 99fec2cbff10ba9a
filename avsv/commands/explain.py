"""avsv explain: show how a file was made, from the media to the number.

Prints the chain of commands behind a score file, archive, model folder, noisy set or results page: below each file its
inputs, with command, options and code version; of a training only the options that differ from the defaults, and where
its whole configuration is. An input that has changed since is marked [changed], a deleted one [absent]. --json prints
the same tree for programs.

example:
  avsv explain exp/voice/scores/vox1-O.cosine
  avsv explain --json exp/results/results.json
"""

from pathlib import Path


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="print the tree as JSON")
    parser.add_argument("path", type=Path, metavar="FILE", help="anything that avsv wrote: a file or its folder")


def run(args):
    import dataclasses
    import json

    from avsv.jobs.explain import as_lines, explain

    step = explain(args.path)
    print(json.dumps(dataclasses.asdict(step), indent=2) if args.json else "\n".join(as_lines(step)))
