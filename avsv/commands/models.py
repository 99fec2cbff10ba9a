"""avsv models: list published encoders, with their licences, published results and front ends.

The list is that of docs/models.md. "tested" tells whether avsv has run the weights themselves, or what that waits for;
the published results are those of their authors. --json has everything: source, licence of the code, training data,
source of the results, cost, hash.

example:
  avsv models
  avsv models --json
"""

import json


def add_arguments(parser):
    parser.add_argument("--json", action="store_true", help="print all that is known, as JSON")


def run(args):
    from dataclasses import asdict

    from avsv.models.registry import published_models

    models = list(published_models().values())
    if args.json:
        print(json.dumps([asdict(model) for model in models], indent=2))
        return
    head = ["name", "kind", "published", "size", "licence of the weights", "front end", "tested"]
    rows = [[model.name, model.kind, model.results, str(model.size or "-"), model.weights, model.front_end,
             "no" if model.waits_for else "yes"] for model in models]  # fmt: skip
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in [head, *rows]:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
