"""avsv verify: two recordings or videos of people -> one score, and whether they are the same person.

The voices are compared by the cosine of their embeddings, and so are the faces. --calibration, the OUT.json that
avsv fuse --method logistic wrote for the scores of voice and face (in this order), makes one log-likelihood ratio of
the two; above the threshold of the target prior it is the same person. Prints a line for each.

example:
  avsv verify --voice exp/voice --face exp/face --calibration exp/logistic/scores/test.cosine.json one.mp4 other.mp4
"""

from pathlib import Path

from avsv.commands._arguments import at_least_one, prior


def add_arguments(parser):
    parser.add_argument("a", help="video or recording")
    parser.add_argument("b", help="another")
    parser.add_argument("--voice", required=True, metavar="MODEL", help="as embed-voice --model")
    parser.add_argument("--face", required=True, metavar="MODEL", help="as embed-face --model")
    parser.add_argument(
        "--calibration", type=Path, required=True, metavar="JSON", help="of the cosines of voice and face"
    )
    parser.add_argument("--target-prior", type=prior, default=0.5, metavar="P", help="how likely beforehand (0.5)")
    parser.add_argument("--frames-per-clip", type=at_least_one, default=5, help="faces averaged (default: 5)")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")


def run(args):
    import numpy as np

    from avsv.embeddings.face import FaceEmbedder, media_faces
    from avsv.embeddings.voice import make_voice_embedder, read_clip
    from avsv.errors import UserError
    from avsv.features.face_pack import load_pack
    from avsv.scoring.calibration import read_fusion

    fusion = read_fusion(args.calibration)
    if len(fusion.systems) != 2:
        raise UserError(f"{args.calibration}: is for {len(fusion.systems)} scores, expected those of voice and face")
    if fusion.measures:
        tables = ", ".join(measure.table for measure in fusion.measures)
        raise UserError(f"{args.calibration}: weighs {tables} as well; give one trained on the scores alone")
    clips = {"a": args.a, "b": args.b}
    pack = load_pack(args.face, args.device)
    faces = media_faces(clips, pack.detection, args.frames_per_clip)
    face = dict(FaceEmbedder(pack.recognition).embed_clips((name, faces(name).pictures) for name in clips))
    embed = make_voice_embedder(args.voice, args.device)
    voice = {name: embed([read_clip(path, None, allow_pipes=False)])[0] for name, path in clips.items()}
    cosines = [cosine(side["a"], side["b"]) for side in (voice, face)]
    ratio = float(fusion.apply(np.array([cosines]))[0])
    threshold = np.log((1 - args.target_prior) / args.target_prior)
    print(f"voice  {cosines[0]:.4f}  cosine")
    print(f"face   {cosines[1]:.4f}  cosine")
    print(f"score  {ratio:.4f}  log-likelihood ratio; threshold {threshold:.4f} at target prior {args.target_prior:g}")
    print("the same person" if ratio > threshold else "different people")


def cosine(a, b) -> float:
    """Cosine of two vectors, (d,) each."""
    return float(a @ b / (a @ a * (b @ b)) ** 0.5)
