"""avsv check: does a data directory keep Kaldi's rules? One line a defect.

example:
  avsv check data/vox1
"""

from pathlib import Path

from avsv.kaldi.data_dir import check, read_data_dir


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path)


def run(args):
    defects = check(args.data_dir)
    if defects:
        print("\n".join(defects))
        print(f"{len(defects)} defects in {args.data_dir}. Mend them, or run: avsv fix {args.data_dir}")
        return 1
    print(f"Successfully validated data-directory {args.data_dir}: {len(read_data_dir(args.data_dir).utts)} utterances")
    return 0
