"""avsv check: validate a data directory by Kaldi's rules; prints one line per defect.

example:
  avsv check data/vox1
"""

from pathlib import Path


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path)


def run(args):
    from avsv.errors import printable
    from avsv.kaldi.columns import read_pieces
    from avsv.kaldi.validation import check

    defects = check(args.data_dir)
    if defects:
        print(printable("\n".join(defects)))
        count = "1 defect" if len(defects) == 1 else f"{len(defects)} defects"
        print(f"{count} in {args.data_dir}. Fix them, or run: avsv fix {args.data_dir}")
        return 1
    n_utts = sum(piece.count(b"\n") for piece, _ in read_pieces(args.data_dir / "utt2spk"))
    print(f"Successfully validated data-directory {args.data_dir}: {n_utts} utterances")
    return 0
