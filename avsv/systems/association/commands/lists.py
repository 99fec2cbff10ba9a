"""avsv association lists: draw the lists of face-voice verification, matching and retrieval from a data directory.

OUT_DIR/verification/GROUP are voices and faces to compare, half of them of one person; OUT_DIR/matching/v2f_GROUP are
voices with one right face and wrong ones (1 of 10 in group U, 1 of 2 in the others), f2v_GROUP the reverse;
OUT_DIR/retrieval/ holds all voices and faces. In group U wrong ones are anybody's, in the others they are of people of
the same gender (G: spk2gender), nationality (N: spk2nationality), age (A: spk2age), or all of these. Voice and face of
one person are of different sessions (utt2vid) where there are several. The same seed draws the same lists.

example:
  avsv association lists --seed 0 data/unseen exp/association/unseen/lists
"""

from pathlib import Path

from avsv.commands._arguments import at_least_one, at_least_zero


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="has utt2spk, wav.scp, video.scp; utt2vid, spk2gender and so on")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--seed", type=at_least_zero, default=0, help="of the draw (0)")
    parser.add_argument(
        "--most", type=at_least_one, default=10000, metavar="N",
        help="right pairs of a verification list, queries of a matching list (10000)",
    )  # fmt: skip


def run(args):
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.systems.association.draw_lists import write_protocols

    for line in write_protocols(read_data_dir(args.data_dir), args.out_dir, args.seed, args.most):
        print(line)
