"""Options of avsv score and avsv normalize that select a back-end, and the embeddings of both sides of the trials."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a command's --help needs this file, but no numpy
    from avsv.kaldi.trials import Trials
    from avsv.scoring.trial_embeddings import TrialEmbeddings

METHODS = ("embedding-average", "score-average", "by-the-book")
TRUE_FALSE = ("true", "false")
PLDA_FILES = ("plda", "mean.vec", "transform.mat", "trained_on.json")


def add_backend_arguments(parser: argparse.ArgumentParser) -> None:
    """Options that select embeddings and how to compare them."""
    parser.add_argument("--enroll", type=Path, required=True, metavar="SCP", help="embeddings of the enrolment side")
    parser.add_argument("--test", type=Path, metavar="SCP", help="embeddings of the test side (--enroll)")
    parser.add_argument(
        "--enroll-spk2utt", type=Path, metavar="FILE",
        help="recordings of each enrolment model, as in Kaldi's spk2utt; the trials then name models",
    )  # fmt: skip
    parser.add_argument(
        "--enroll-method", choices=METHODS,
        help="for models of several recordings: average their embeddings, average their scores, or take PLDA's "
        "likelihood ratio of them all (embedding-average)",
    )  # fmt: skip
    parser.add_argument(
        "--enroll-quality", type=Path, metavar="FILE",
        help="table of a quality measure, such as utt2face_quality, that weights the recordings of a model in their "
        "average (equal weights)",
    )  # fmt: skip
    parser.add_argument("--backend", choices=["cosine", "plda"], default="cosine", help="how to compare (cosine)")
    parser.add_argument(
        "--plda", type=Path, metavar="DIR", help="folder of avsv plda, or Kaldi's plda file; not used by cosine"
    )
    parser.add_argument(
        "--vector-length", choices=["sqrt-dim", "one", "as-is"],
        help="length of vectors before PLDA, as in Kaldi's ivector-normalize-length; one for VBx's PLDA (sqrt-dim)",
    )  # fmt: skip
    parser.add_argument(
        "--normalize-length", choices=TRUE_FALSE,
        help="option of Kaldi's ivector-plda-scoring, where the default is true: scale each vector to the length that "
        "PLDA expects (false)",
    )  # fmt: skip
    parser.add_argument(
        "--simple-length-norm", choices=TRUE_FALSE, help="Kaldi's option, needs --normalize-length true (false)"
    )
    parser.add_argument(
        "--center", type=Path, metavar="FILE", help="subtract this mean before the cosine: a Kaldi vector (mean.vec)"
    )
    parser.add_argument(
        "--transform", type=Path, metavar="FILE",
        help="then apply this matrix: LDA or whitening (transform.mat), see avsv lda",
    )  # fmt: skip


def backend_inputs(args: argparse.Namespace) -> "dict[str, Path | list[Path] | None]":
    """Role -> the files that the scores depend on, as MadeFrom takes them."""
    plda = args.plda if args.backend == "plda" else None
    if plda is not None and plda.is_dir():
        plda = [plda / name for name in PLDA_FILES]  # a folder of Kaldi's may have other files too
    sides = {"enroll": args.enroll, "test": args.test, "models": args.enroll_spk2utt,
             "enroll quality": args.enroll_quality}  # fmt: skip
    return {"trials": args.trials, **sides, "plda": plda, "center": args.center, "transform": args.transform}


def read_pool(args: argparse.Namespace, trials: "Trials") -> "tuple[TrialEmbeddings, dict[str, Any]]":
    """Read the embeddings that the trials need; missing ones are an error unless `args.missing` allows them.

    Returns
    -------
    pool : the recordings, and the rows of each trial
    how : back-end and enrolment method, as arguments for `score` and `normalize`
    """
    from avsv.errors import OptionError
    from avsv.scoring.backend import make_backend
    from avsv.scoring.missing import refuse_missing
    from avsv.scoring.trial_embeddings import read_trial_embeddings

    if args.enroll_method is not None and args.enroll_spk2utt is None:
        raise OptionError("--enroll-method needs --enroll-spk2utt FILE, the recordings of each model")
    if args.enroll_quality is not None and (args.enroll_spk2utt is None or args.enroll_method == "by-the-book"):
        raise OptionError("--enroll-quality weights the average of a model's recordings: it needs --enroll-spk2utt, "
                        "and --enroll-method embedding-average or score-average")  # fmt: skip
    length, normalization = args.vector_length or "sqrt-dim", normalization_of(args)
    backend = make_backend(args.backend, args.plda, args.center, args.transform, length, normalization)
    pool = read_trial_embeddings(trials, args.enroll, args.test, args.enroll_spk2utt, args.enroll_quality)
    refuse_missing(args.missing, trials, pool, args.test or args.enroll)
    return pool, {"backend": backend, "enroll_method": args.enroll_method or METHODS[0]}


def normalization_of(args: argparse.Namespace) -> str:
    """The length normalisation that Kaldi's two options select; OptionError if one would have no effect."""
    from avsv.errors import OptionError

    given = [name for name in ("vector_length", "normalize_length", "simple_length_norm") if getattr(args, name)]
    if given and args.backend != "plda":
        raise OptionError(f"--{given[0].replace('_', '-')} needs --backend plda")
    if args.simple_length_norm == "true" and args.normalize_length != "true":
        raise OptionError("--simple-length-norm true needs --normalize-length true")
    return "none" if args.normalize_length != "true" else "simple" if args.simple_length_norm == "true" else "model"


def system_of(args: argparse.Namespace, *more: Path) -> str | None:
    """The model and back-end of the scores; None if the model is unknown.

    Parameters
    ----------
    more : other embeddings, or weights beside embeddings, that must come from the same model

    Raises
    ------
    InputError : embeddings or back-end come from different models
    """
    from avsv.jobs.fingerprints import file_digest
    from avsv.kaldi.origin import embeddings_model, folder_model, same_model, trained_on
    from avsv.scoring.plda_files import plda_digest

    models = {path: embeddings_model(path) for path in (args.enroll, args.test) if path is not None}
    models |= {path: embeddings_model(path) if path.suffix == ".scp" else folder_model(path.parent) for path in more}
    if args.backend == "plda":
        models[args.plda] = trained_on(args.plda if args.plda.is_dir() else args.plda.parent)
    models |= {path: trained_on(path.parent) for path in (args.center, args.transform) if path is not None}
    model = same_model(models)
    # scores of two back-ends of one model differ as much as scores of two models
    parts = [args.backend if args.backend != "plda" else f"plda-{plda_digest(args.plda)}"]
    parts += [f"{name}-{file_digest(path)[:8]}" for name in ("center", "transform") if (path := getattr(args, name))]
    parts += [f"length-{args.vector_length}"] * (args.vector_length not in (None, "sqrt-dim"))
    normalization = normalization_of(args)
    parts += [f"normalized-{normalization}"] * (normalization != "none")
    return model and f"{model} {'+'.join(parts)}"
