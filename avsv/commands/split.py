"""avsv split: cut a data directory into N parts of whole speakers, DATA_DIR/splitN/1 to N.

Like Kaldi's split_data.sh, for jobs that process one part each: every table except the trials is cut, and a speaker's
utterances are all in the same part. Commands with --shard J/N do not need a split.

example:
  avsv split data/vox2 100
  avsv check data/vox2/split100/7
"""

from pathlib import Path

from avsv.commands._arguments import at_least_one


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("parts", type=at_least_one, metavar="N")


def run(args):
    from avsv.kaldi.split import split_data_dir

    sizes = split_data_dir(args.data_dir, args.parts)
    print(f"{args.data_dir}/split{args.parts}: {len(sizes)} parts of {min(sizes)} to {max(sizes)} utterances")
