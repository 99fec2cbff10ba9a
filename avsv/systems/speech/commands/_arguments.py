"""Options that the trainings of this system share."""

import argparse
from pathlib import Path
from typing import Any

from avsv.jobs.shards import Shard


def add_training(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("config", type=Path, metavar="CONFIG", help="settings, YAML")
    parser.add_argument("features", type=Path, metavar="FEATURES", help="folder of avsv features")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="override settings")
    parser.add_argument(
        "--shard", type=Shard.parse, default=Shard(), metavar="J/N",
        help="be job J of N that train together; all jobs must see OUT (1/1)",
    )  # fmt: skip


def read_training(args: argparse.Namespace, schema: type) -> tuple[Any, dict[str, Any]]:
    """The settings, and all of them except the seed as options for the record."""
    from dataclasses import asdict

    from avsv.training.config import check_settings, read_settings

    settings = check_settings(read_settings(args.config, args.overrides), schema, args.config)
    options = {**asdict(settings), "jobs": args.shard.total}
    del options["seed"]
    return settings, options
