"""avsv verify: two recordings, videos or pictures of people -> one score, and whether they are the same person.

The clips are compared on the modalities that both have: the voices by the cosine of their embeddings, and so the faces.
--calibration, the OUT.json that avsv fuse --method logistic wrote for the cosines of voice and face, makes one
log-likelihood ratio of them; above the threshold of the target prior it is the same person. Where one of the two
modalities is missing (two recordings, two silent videos, a picture, a clip in which no face is found), the
calibration's map for the other one alone is used: train it with --missing rest, as the recipes do. Clips that share
neither have the log-likelihood ratio 0, no verdict, and exit code 3.

The calibration must be trained on scores of these very models. Prints a line for each modality, then score and verdict.

example:
  avsv verify --voice exp/voice --face exp/face --calibration exp/logistic/scores/test.cosine.json one.mp4 other.wav
"""

from pathlib import Path

from avsv.commands._arguments import add_audio_track, add_trust, at_least_one, prior

UNDECIDED = 3  # exit code


def add_arguments(parser):
    parser.add_argument("a", help="recording, video, picture or folder of pictures")
    parser.add_argument("b", help="another")
    parser.add_argument("--voice", required=True, metavar="MODEL", help="as embed-voice --model")
    parser.add_argument("--face", required=True, metavar="MODEL", help="as embed-face --model")
    parser.add_argument(
        "--calibration", type=Path, required=True, metavar="JSON", help="trained on the cosines of voice and face"
    )
    parser.add_argument("--target-prior", type=prior, default=0.5, metavar="P", help="how likely beforehand (0.5)")
    parser.add_argument("--frames-per-clip", type=at_least_one, default=5, help="faces averaged (default: 5)")
    add_trust(parser)
    add_audio_track(parser)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")


def run(args):
    import numpy as np

    from avsv.embeddings.verification import ClipEmbedder
    from avsv.scoring.calibration import read_fusion
    from avsv.scoring.verification import cosine, modality_columns, trial_llr

    fusion = read_fusion(args.calibration)
    embed = ClipEmbedder(args.voice, args.face, args.frames_per_clip, args.device, args.trust_model, args.audio_track)
    columns = modality_columns(fusion, embed.models, args.calibration)
    a, b = embed(args.a), embed(args.b)
    shared = [modality for modality in columns if modality in a.vectors and modality in b.vectors]
    cosines = {modality: cosine(modality, a.vectors[modality], b.vectors[modality]) for modality in shared}
    ratio = trial_llr(fusion, columns, cosines)
    threshold = np.log((1 - args.target_prior) / args.target_prior)
    for modality in columns:
        absent = [clip.absent[modality] for clip in (a, b) if modality in clip.absent]
        print(f"{modality:5}  {'-':6}  {'; '.join(absent)}" if absent else
              f"{modality:5}  {cosines[modality]:.4f}  cosine")  # fmt: skip
    print(f"score  {ratio:.4f}  log-likelihood ratio; threshold {threshold:.4f} at target prior {args.target_prior:g}")
    if not shared:
        print("no verdict: the clips share neither a voice nor a face")
        return UNDECIDED
    print("the same person" if ratio > threshold else "different people")
