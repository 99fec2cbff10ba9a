"""avsv embed-pair: fuse voice and face embeddings with a trained network.

A clip with a single modality is embedded from that modality alone; the log counts such clips. A network trained with
quality tables (voice_quality, face_quality) reads them from the folders of the embeddings. Writes
OUT_DIR/embedding.{ark,scp}, and OUT_DIR/weights, the share of each modality in the embedding ("utt voice face"), of
which OUT_DIR/utt2voice_weight is the first, as a quality table for avsv calibrate.

example:
  avsv embed-pair --model exp/avn_e --voice exp/voice/vox1/embedding.scp --face exp/face/vox1/embedding.scp \\
    exp/avn_e/vox1
"""

import logging
from pathlib import Path

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument("--model", type=Path, required=True, help="folder of a trained fusion network")
    parser.add_argument("--voice", required=True, help="embedding.scp of the voices")
    parser.add_argument("--face", required=True, help="embedding.scp of the faces")
    parser.add_argument("out_dir", type=Path)


def run(args):
    from avsv.embeddings.pair import fuse_pairs, load_fusion, pair_model, pair_quality, refuse_other_encoders
    from avsv.embeddings.quality_tables import quality_file
    from avsv.jobs.files import replaced_together
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import write_embeddings
    from avsv.kaldi.origin import embeddings_model
    from avsv.kaldi.pairs import join_embeddings
    from avsv.kaldi.tables import write_table
    from avsv.models.avn_e import FUSION

    fusion = load_fusion(args.model)
    network = FUSION.path(args.model)
    quality = [quality_file(args.voice, name) for name in fusion.options.voice_quality]
    quality += [quality_file(args.face, name) for name in fusion.options.face_quality]
    inputs = {"model": network, "voice": args.voice, "face": args.face, "quality": quality}
    made = MadeFrom(args.verb, inputs)
    tables = ("weights", "utt2voice_weight")
    if made.is_current(*(args.out_dir / name for name in ("embedding.scp", *tables))):
        return
    encoders = {"voice": embeddings_model(args.voice), "face": embeddings_model(args.face)}
    refuse_other_encoders(fusion, encoders, args.out_dir)
    voice, face, present, utts = join_embeddings(args.voice, args.face)
    vectors, weights = fuse_pairs(
        fusion, voice, face, present, pair_quality(fusion.options, args.voice, args.face, utts)
    )
    out = args.out_dir
    with replaced_together(*(out / name for name in tables)):
        write_embeddings(out / "embedding.ark", out / "embedding.scp", utts, vectors, pair_model(fusion, encoders))
        write_table(out / "weights", zip(utts, (f"{v:.4f} {f:.4f}" for v, f in weights), strict=True))
        write_table(out / "utt2voice_weight", zip(utts, (f"{v:.4f}" for v, _ in weights), strict=True))
    for name in ("embedding.scp", *tables):
        made.write(out / name)
    both = int(present.all(1).sum())
    n_voice, n_face = present.sum(0)
    log.info("%s: %d clips: %d with voice and face, %d voice only, %d face only", args.out_dir, len(utts), both,
             n_voice - both, n_face - both)  # fmt: skip
