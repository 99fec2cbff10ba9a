"""avsv concatenate: one embedding of several encoders of voice, or of several of face.

Each embedding is scaled to the same length first, so the cosine is the mean of the encoders' cosines; PLDA trained on
the result weighs them. Recordings that lack one of the embeddings are left out and counted. The quality tables are
those of the first encoder, but the magnitude is the geometric mean of all. To fuse scores instead, give several systems
to avsv fuse.

example:
  avsv concatenate --embeddings exp/ecapa/vox1/embedding.scp --embeddings exp/resnet/vox1/embedding.scp exp/both/vox1
"""

import logging
from pathlib import Path

log = logging.getLogger("avsv")


def add_arguments(parser):
    parser.add_argument(
        "--embeddings",
        type=Path,
        required=True,
        action="append",
        metavar="SCP",
        help="of one encoder; give two or more",
    )
    parser.add_argument("out_dir", type=Path, metavar="OUT_DIR")


def run(args):
    from avsv.embeddings.concatenation import concatenate, concatenated_model, concatenated_quality
    from avsv.embeddings.quality_tables import quality_file
    from avsv.errors import OptionError
    from avsv.features.quality_measures import TABLES
    from avsv.jobs.files import replaced_together
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import read_embeddings, write_embeddings
    from avsv.kaldi.origin import embeddings_model
    from avsv.kaldi.tables import write_table

    scps, out = args.embeddings, args.out_dir
    if len(scps) < 2:
        raise OptionError("--embeddings: expected two or more, each with its option")
    quality = [file for scp in scps for name in TABLES if (file := quality_file(scp, name)).is_file()]
    made = MadeFrom(args.verb, {"embeddings": scps, "quality": quality})
    if made.is_current(out / "embedding.scp"):
        return
    model = concatenated_model([embeddings_model(scp) for scp in scps])
    parts = [read_embeddings(scp) for scp in scps]
    joined = concatenate(parts)
    tables = concatenated_quality(scps, joined.ids)
    with replaced_together(*(out / name for name in TABLES)):  # no table of an earlier run
        write_embeddings(out / "embedding.ark", out / "embedding.scp", joined.ids, joined.vectors, model)
        for name, table in tables.items():
            write_table(out / name, table)
    made.write(out / "embedding.scp", [out / name for name in tables])
    anywhere = {name for part in parts for name in part.ids}
    if absent := sorted(anywhere - set(joined.ids)):
        log.warning("%s: %d of %d recordings lack one of the embeddings and are left out, the first: %s", out,
                    len(absent), len(anywhere), absent[0])  # fmt: skip
    log.info("%s: %d embeddings of %d encoders, %d values each", out, len(joined), len(scps), joined.vectors.shape[1])
