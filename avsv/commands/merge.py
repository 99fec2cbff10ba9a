"""avsv merge: join the shards of a feature or embedding folder into one scp file.

The last shard to finish does this automatically; use the command if jobs were run by hand.

example:
  avsv merge exp/voice/vox1
"""

from pathlib import Path


def add_arguments(parser):
    parser.add_argument("out_dir", type=Path, help="folder with NAME.J.scp and done.J.json of every shard")


def run(args):
    from avsv.kaldi.shards import merge

    merge(args.out_dir)
