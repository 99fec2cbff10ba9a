"""avsv association lists: draw lists for face-voice verification, matching and retrieval from a data directory.

OUT_DIR/verification/GROUP pairs voices with faces, half of them of the same person. OUT_DIR/matching/v2f_GROUP gives
for each voice the true face and wrong ones (1 of 10 in group U, 1 of 2 in the others); f2v_GROUP is the reverse.
OUT_DIR/retrieval/ lists all voices and faces. Wrong candidates are drawn from everybody in group U, and in the other
groups from people of the same gender (G: spk2gender), nationality (N: spk2nationality), age (A: spk2age), or several of
these (GN, GNA). The voice and face of one person come from different sessions (utt2vid) if possible. The same seed
draws the same lists.

example:
  avsv association lists --seed 0 data/unseen exp/association/unseen/lists
"""

from pathlib import Path

from avsv.commands._arguments import at_least_one, at_least_zero


def add_arguments(parser):
    parser.add_argument(
        "data_dir", type=Path, help="has utt2spk, wav.scp, video.scp; optionally utt2vid, spk2gender, ..."
    )
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--seed", type=at_least_zero, default=0, help="random seed (0)")
    parser.add_argument(
        "--most", type=at_least_one, default=10000, metavar="N",
        help="largest number of target pairs in a verification list and of queries in a matching list (10000)",
    )  # fmt: skip


def run(args):
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.systems.association.draw_lists import write_protocols

    for line in write_protocols(read_data_dir(args.data_dir), args.out_dir, args.seed, args.most):
        print(line)
