"""avsv fix: sort a data directory's tables, and drop utterances without a speaker or media.

The original tables are kept in DATA_DIR/.backup.

example:
  avsv fix data/vox1
"""

from pathlib import Path


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path)


def run(args):
    from avsv.kaldi.validation import fix

    kept, before = fix(args.data_dir)
    print(f"kept {kept} utterances out of {before}")
