"""avsv fix: mend a data directory: sort its tables, drop what has no speaker or no media.

The tables it replaces are kept in DATA_DIR/.backup.

example:
  avsv fix data/vox1
"""

from pathlib import Path

from avsv.kaldi.validation import fix


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path)


def run(args):
    kept, before = fix(args.data_dir)
    print(f"kept {kept} utterances out of {before}")
