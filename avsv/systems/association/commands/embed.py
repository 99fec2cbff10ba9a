"""avsv association embed: voices and faces in one space, compared by their cosine.

Writes OUT_DIR/voice.{ark,scp} and OUT_DIR/face.{ark,scp} from the embeddings that a network of task association was
trained on. For a network of task association_media, which takes sound and aligned faces, give --data instead: wav.scp
and faces.scp of that folder are read; what cannot be read is skipped, counted and listed in OUT_DIR/skipped.

example:
  avsv association embed --model exp/infonce --voice exp/voice/test/embedding.scp --face exp/face/test/embedding.scp \\
    exp/infonce/test
  avsv association embed --model exp/single_stream --data data/test exp/single_stream/test
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_audio_track, share

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--model", type=Path, required=True, metavar="EXP_DIR", help="a finished training")
    parser.add_argument("--voice", type=Path, metavar="SCP", help="voice embeddings")
    parser.add_argument("--face", type=Path, metavar="SCP", help="face embeddings")
    parser.add_argument("--data", type=Path, metavar="DIR", help="sound and faces, for a network trained on them")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="with --data (cpu)")
    parser.add_argument("--max-skipped", type=share, default=0.05, help="with --data: share that may fail (0.05)")
    add_audio_track(parser)
    parser.add_argument("out_dir", type=Path)
    parser.set_defaults(fail=parser.error)


def run(args):
    from avsv.kaldi.embeddings import read_embeddings, write_embeddings

    if (args.data is None) == (args.voice is None or args.face is None):
        args.fail("give --voice and --face, or --data")
    if args.data is not None:
        from avsv.systems.association.embedding_media import embed_media

        embed_media(args.model, args.data, args.out_dir, args.device, args.max_skipped, args.audio_track)
        return
    from avsv.jobs.files import replaced_together
    from avsv.jobs.provenance import MadeFrom
    from avsv.systems.association.embedding import NAME, embed_side, load_family

    family = load_family(args.model)
    network = args.model / NAME
    made = {
        name: MadeFrom(args.verb, {"model": network, name: scp})
        for name, scp in (("voice", args.voice), ("face", args.face))
    }
    with replaced_together():  # both sides are of one network
        for name, scp in (("voice", args.voice), ("face", args.face)):
            side = read_embeddings(scp)
            vectors = embed_side(family, side.vectors, name == "voice")
            write_embeddings(args.out_dir / f"{name}.ark", args.out_dir / f"{name}.scp", side.ids, vectors)
            log.info("%s: %d %ss", args.out_dir, len(vectors), name)
    for name, record in made.items():
        record.write(args.out_dir / f"{name}.scp")
