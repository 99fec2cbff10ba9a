"""avsv adapt: adapt embeddings, or a PLDA back-end, to another domain from unlabelled recordings.

In a domain that an encoder was not trained on, everybody looks alike; centring each domain on its own mean undoes that.
OUT is a folder with the map in Kaldi's mean.vec and transform.mat. --apply writes the embeddings after it, with the
quality tables beside them, for every other command: they have a model name of their own ("voice:...+centered"), so raw
and adapted embeddings cannot be mixed. utt2similarity and utt2similarity_deviation are added: mean and deviation of a
recording's cosines with the most similar 30 % of the domain's recordings, as quality measures for avsv fuse. Adapt the
training data to their own domain as well, and train PLDA, fusion and calibration on the result; they then serve every
domain.

What counts is the number of people. Below 16, their mean says more about them than about the domain; with --source it
is moved towards the mean of the training data, to people / (people + 16) of the way. Without --people a tenth of the
recordings is assumed. whiten and coral need more people than an embedding has values to be of much use.

--plda adapts a PLDA back-end instead, as Kaldi's ivector-adapt-plda does, with its options and defaults (the sre16
recipe sets the scales to 0.75 and 0.25): variance of the domain beyond the model's prediction is added to the
within-speaker and between-speaker covariances, and the mean becomes the domain's. OUT is then a folder as of avsv plda.

examples:
  avsv adapt --embeddings exp/voice/vox2/embedding.scp --people 5994 \\
    --apply exp/voice/vox2/embedding.scp exp/voice_adapted/vox2 exp/voice_adapted/source
  avsv adapt --embeddings exp/voice/calls/embedding.scp --people 60 --source exp/voice/vox2/embedding.scp \\
    --apply exp/voice/test/embedding.scp exp/voice_adapted/test exp/voice_adapted/target
  avsv adapt --plda exp/voice/plda --embeddings exp/voice/calls/embedding.scp exp/voice/plda_calls
"""

import logging
import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from avsv.commands._arguments import add_text, at_least_one, not_negative, registered_methods, result_options

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    import numpy as np

log = logging.getLogger("avsv")
PLDA = ("plda", "mean.vec", "transform.mat")
SCALES = {"within_covar_scale": 0.3, "between_covar_scale": 0.7, "mean_diff_scale": 1.0}


def add_arguments(parser):
    methods = registered_methods("domain")
    parser.add_argument(
        "--embeddings", type=Path, required=True, metavar="SCP", help="unlabelled embeddings of the domain"
    )
    parser.add_argument(
        "--method", choices=methods,
        help="; ".join(f"{name}: {summary}" for name, summary in methods.items()) + " (center)",
    )  # fmt: skip
    parser.add_argument(
        "--source", type=Path, metavar="SCP", help="raw embeddings of the data that PLDA or fusion was trained on"
    )
    parser.add_argument("--people", type=at_least_one, metavar="N", help="number of people in the domain, about")
    parser.add_argument(
        "--apply", type=Path, nargs=2, action="append", metavar=("SCP", "OUT_DIR"),
        help="also write these embeddings, adapted, to OUT_DIR/embedding.{ark,scp}; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--folds", type=Path, metavar="FILE",
        help='table "recording fold": --apply adapts each recording to the recordings of the other folds only, to '
        "evaluate without further adaptation people",
    )  # fmt: skip
    parser.add_argument("--plda", type=Path, metavar="DIR", help="adapt this folder of avsv plda or Kaldi instead")
    parser.add_argument(
        "--within-covar-scale", type=not_negative, metavar="X",
        help="with --plda: share of the excess variance added to the within-speaker covariance (0.3)",
    )  # fmt: skip
    parser.add_argument("--between-covar-scale", type=not_negative, metavar="X", help="the same between speakers (0.7)")
    parser.add_argument(
        "--mean-diff-scale", type=not_negative, metavar="X",
        help="with --plda: share of the squared distance between the means added to the domain's variance (1)",
    )  # fmt: skip
    add_text(parser)
    parser.add_argument("out", type=Path, metavar="OUT", help="folder")


def run(args):
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: more threads would only wait
    refuse_options_without_effect(args)
    if args.plda:
        adapt_plda_folder(args)
    else:
        adapt_embeddings(args)


def refuse_options_without_effect(args: "argparse.Namespace") -> None:
    """Raise OptionError for options of the other kind of adaptation."""
    from avsv.errors import OptionError

    of_embeddings = ("method", "source", "people", "apply", "folds")
    for name in of_embeddings if args.plda else SCALES:
        if getattr(args, name) is not None:
            option = "--" + name.replace("_", "-")
            raise OptionError(f"{option} has no effect {'with' if args.plda else 'without'} --plda")
    if args.folds and not args.apply:
        raise OptionError("--folds needs --apply, the embeddings to adapt")


def adapt_embeddings(args: "argparse.Namespace") -> None:
    """Write the map, and the embeddings of --apply after it."""
    from avsv.features.quality_measures import TABLES
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import read_embeddings
    from avsv.kaldi.origin import embeddings_model, same_model
    from avsv.kaldi.tables import read_table
    from avsv.scoring.domain import (
        MEAN,
        MEMBERS,
        METHODS,
        RECORD,
        TRANSFORM,
        apply_by_fold,
        learn_adaptation,
        write_adaptation,
    )
    from avsv.scoring.domain_similarity import similarity

    method = args.method or "center"
    inputs, options = {"embeddings": args.embeddings, "source": args.source}, result_options(args) | {"method": method}
    made, files = MadeFrom(args.verb, inputs, options), [args.out / name for name in (RECORD, MEAN, MEMBERS)]
    files += [args.out / TRANSFORM] * (method != "center")
    stale = []
    for scp, out_dir in args.apply or []:
        tables = [scp.parent / name for name in TABLES if (scp.parent / name).is_file()]
        applied = {**inputs, "folds": args.folds, "applied": scp, "quality": tables}
        record = MadeFrom(args.verb, applied, options)
        if not record.is_current(out_dir / "embedding.scp"):
            stale.append((scp, out_dir, tables, record))
    if (current := made.is_current(*files)) and not stale:
        return
    scps = [args.embeddings, args.source, *(one[0] for one in stale)]
    model = same_model({scp: embeddings_model(scp) for scp in scps if scp is not None})
    domain = read_embeddings(args.embeddings)
    # once for all folds: the source may have a million embeddings
    source = METHODS[method].moments("source", read_embeddings(args.source).vectors) if args.source else None
    learn = partial(learn_adaptation, method=method, source=source, model=model)
    adaptation = learn(domain.vectors, people=args.people)
    if not current:
        write_adaptation(args.out, adaptation, args.text)
        for file in files:
            made.write(file)
        share = adaptation.share
        counts = f": their mean counts {share:.2f}, the source's {1 - share:.2f}" if args.source else ""
        log.info("%s: %s on %d embeddings%s", args.out, method, len(domain), counts)
    for scp, out_dir, tables, record in stale:
        embeddings = read_embeddings(scp)
        if args.folds:
            fold_of = read_table(args.folds, 2, "recording fold")
            vectors, similarities = apply_by_fold(embeddings, domain, fold_of, learn, args.people, args.folds)
        else:
            vectors = adaptation.apply(embeddings.vectors) if len(embeddings) else embeddings.vectors
            similarities = similarity(vectors, adaptation.members)
        write_adapted(out_dir, embeddings.ids, vectors, adaptation.adapted_model, tables, similarities)
        record.write(out_dir / "embedding.scp", [out_dir / name for name in (*(t.name for t in tables), *similarities)])
        log.info("%s: %d embeddings adapted", out_dir, len(embeddings))


def write_adapted(
    out_dir: Path,
    ids: "Sequence[str]",
    vectors: "np.ndarray",
    model: str | None,
    tables: "Sequence[Path]",
    similarities: "Mapping[str, np.ndarray]",
) -> None:
    """Write adapted embeddings, copies of the quality tables of the raw ones, and new tables, as one set."""
    from avsv.features.quality_measures import TABLES
    from avsv.jobs.files import copy_file, replaced_together
    from avsv.kaldi.embeddings import write_embeddings
    from avsv.kaldi.tables import write_table

    with replaced_together(*(out_dir / name for name in (*TABLES, *similarities))):  # no table of an earlier run
        write_embeddings(out_dir / "embedding.ark", out_dir / "embedding.scp", ids, vectors, model)
        for table in tables:
            copy_file(table, out_dir / table.name)
        for name, values in similarities.items():
            write_table(out_dir / name, {utt: f"{value:.6g}" for utt, value in zip(ids, values, strict=True)})


def adapt_plda_folder(args: "argparse.Namespace") -> None:
    """Write an adapted PLDA back-end."""
    from avsv.jobs.files import replaced_together
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.embeddings import read_embeddings
    from avsv.kaldi.origin import embeddings_model, same_model, trained_on, write_trained_on
    from avsv.scoring.adaptation import adapt_plda
    from avsv.scoring.plda_files import read_plda, write_plda

    options = {**SCALES, **{name: value for name in SCALES if (value := getattr(args, name)) is not None}}
    inputs = {"plda": args.plda / "plda", "embeddings": args.embeddings}
    made = MadeFrom(args.verb, inputs, result_options(args) | options)
    if made.is_current(*(args.out / name for name in PLDA)):
        return
    model = same_model({args.plda: trained_on(args.plda), args.embeddings: embeddings_model(args.embeddings)})
    plda, embeddings = read_plda(args.plda), read_embeddings(args.embeddings)
    adapted = adapt_plda(plda, embeddings.vectors, *options.values())
    with replaced_together(args.out / "plda"):
        write_plda(args.out, adapted, args.text)
        write_trained_on(args.out, model)
    for name in PLDA:
        made.write(args.out / name)
    before, after = plda.gaussians.psi.mean(), adapted.gaussians.psi.mean()
    log.info(
        "%s: adapted to %d embeddings, mean ratio of between-speaker to within-speaker variance %.3g -> %.3g",
        args.out, len(embeddings), before, after,
    )  # fmt: skip
