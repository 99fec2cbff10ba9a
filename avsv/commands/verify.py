"""avsv verify: decide whether two recordings, videos or images show the same person.

The clips are compared on the modalities that both have, by the cosine of their voice embeddings and of their face
embeddings. --calibration, the OUT.json of avsv fuse for these two cosines, turns them into one log-likelihood ratio;
the person is the same above the threshold of the target prior. After --method quality, the quality of the two clips is
measured as embed-voice and embed-face do, and scales the evidence. If a modality is missing (two audio recordings,
silent videos, an image, no detectable face), the other one alone is used; after --method logistic by its own map, for
which the calibration must be trained with --missing rest, as the recipes do. Clips without a common modality get the
log-likelihood ratio 0, no verdict, and exit code 3.

The calibration must be trained on scores of the same models. Prints one line per modality, then score and verdict.

example:
  avsv verify --voice exp/voice --face exp/face --calibration exp/logistic/scores/test.cosine.json one.mp4 other.wav
"""

from pathlib import Path

from avsv.commands._arguments import add_audio_track, add_device, add_trust, at_least_one, prior

UNDECIDED = 3  # exit code


def add_arguments(parser):
    parser.add_argument("a", help="recording, video, image or folder of images")
    parser.add_argument("b", help="the same")
    parser.add_argument("--voice", required=True, metavar="MODEL", help="as in avsv embed-voice --model")
    parser.add_argument("--face", required=True, metavar="MODEL", help="as in avsv embed-face --model")
    parser.add_argument(
        "--calibration", type=Path, required=True, metavar="JSON", help="trained on the cosines of voice and face"
    )
    parser.add_argument(
        "--adaptation", type=Path, action="append", default=[], metavar="DIR",
        help="folder of avsv adapt for the voice or the face, as for the calibration's scores; may be repeated",
    )  # fmt: skip
    parser.add_argument("--p-target", type=prior, default=0.5, metavar="P", help="prior probability of a target (0.5)")
    parser.add_argument("--frames-per-clip", type=at_least_one, default=5, help="faces averaged (5)")
    add_trust(parser)
    add_audio_track(parser)
    add_device(parser)


def run(args):
    from avsv.embeddings.clip import embed
    from avsv.embeddings.face import load_face_encoder
    from avsv.embeddings.voice import load_voice_encoder
    from avsv.scoring.domain import read_adaptation
    from avsv.scoring.verification import verify

    adaptations = [read_adaptation(folder) for folder in args.adaptation]
    voice = load_voice_encoder(args.voice, args.device, args.trust_model)
    face = load_face_encoder(args.face, args.device)
    options = {"frames_per_clip": args.frames_per_clip, "audio_track": args.audio_track,
               "adaptations": adaptations}  # fmt: skip
    a, b = (embed(path, voice, face, **options) for path in (args.a, args.b))
    verdict = verify(a, b, args.calibration, args.p_target)
    for modality in a.models:
        absent = [clip.absent[modality] for clip in (a, b) if modality in clip.absent]
        print(f"{modality:5}  {'-':6}  {'; '.join(absent)}" if absent else
              f"{modality:5}  {verdict.cosines[modality]:.4f}  cosine")  # fmt: skip
    print(f"score  {verdict.ratio:.4f}  log-likelihood ratio; threshold {verdict.threshold:.4f} at target prior "
          f"{args.p_target:g}")  # fmt: skip
    if verdict.same is None:
        print("no verdict: the clips share neither a voice nor a face")
        return UNDECIDED
    print("the same person" if verdict.same else "different people")
