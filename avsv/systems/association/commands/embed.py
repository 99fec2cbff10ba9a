"""avsv association embed: map voices and faces to one space, to be compared by cosine.

Writes OUT_DIR/voice.{ark,scp} and OUT_DIR/face.{ark,scp}. A network of task association takes --voice and --face,
embeddings of the kind it was trained on. A network of task association_media takes --data, a data directory with
wav.scp and faces.scp; clips that cannot be read are skipped, counted and listed in OUT_DIR/skipped.

example:
  avsv association embed --model exp/infonce --voice exp/voice/test/embedding.scp --face exp/face/test/embedding.scp \\
    exp/infonce/test
  avsv association embed --model exp/single_stream --data data/test exp/single_stream/test
"""

from pathlib import Path

from avsv.commands._arguments import add_audio_track, add_device, add_max_skipped


def add_arguments(parser):
    parser.add_argument("--model", type=Path, required=True, metavar="EXP_DIR", help="a finished training")
    parser.add_argument("--voice", type=Path, metavar="SCP", help="voice embeddings")
    parser.add_argument("--face", type=Path, metavar="SCP", help="face embeddings")
    parser.add_argument("--data", type=Path, metavar="DIR", help="data directory, for a network trained end to end")
    add_device(parser)
    add_max_skipped(parser)
    add_audio_track(parser)
    parser.add_argument("out_dir", type=Path)
    parser.set_defaults(fail=parser.error)


def run(args):
    if (args.data is None) == (args.voice is None or args.face is None):
        args.fail("give --voice and --face, or --data")
    if args.data is not None:
        from avsv.systems.association.embedding_media import embed_media

        embed_media(args.model, args.data, args.out_dir, args.device, args.max_skipped, args.audio_track)
    else:
        from avsv.systems.association.embedding import embed_vectors

        embed_vectors(args.verb, args.model, args.voice, args.face, args.out_dir)
