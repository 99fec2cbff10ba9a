"""avsv uncertain-plda: PLDA scores that follow how uncertain each embedding is.

The within-speaker variance of an embedding grows with its uncertainty, by quality measures of the recording (tables
"utterance value", or log:FILE for the logarithm). The influence of each measure is learned on --train-trials, trials of
other people than those of --plda; repeat it with --train-embeddings and --train-quality for several lists, clean and
damaged, which all weigh the same. The scores are natural-log likelihood ratios of one modality; avsv fuse --method
quality adds those of voice and face. The model is saved as OUT.json; --model applies a saved one.

example:
  avsv uncertain-plda --plda exp/voice/plda --trials data/vox1/trials/vox1-O \\
    --embeddings exp/voice/vox1/embedding.scp --quality exp/voice/vox1/utt2snr \\
    --train-trials data/dev/trials/dev --train-embeddings exp/voice/dev/embedding.scp \\
    --train-quality exp/voice/dev/utt2snr \\
    --train-trials data/dev_noisy-0.6/trials/dev --train-embeddings exp/voice/dev_noisy-0.6/embedding.scp \\
    --train-quality exp/voice/dev_noisy-0.6/utt2snr exp/voice/scores/vox1-O.uncertain_plda
"""

from pathlib import Path

from avsv.commands._arguments import Files, add_missing, add_out, add_trials, positive, prior, result_options, take_out
from avsv.commands._score_lists import FileLists, quality_table


def add_arguments(parser):
    add_trials(parser)
    parser.add_argument("--embeddings", type=Path, required=True, metavar="SCP", help="of all recordings of the trials")
    parser.add_argument(
        "--plda", type=Path, required=True, metavar="DIR", help="folder of avsv plda, or Kaldi's plda file"
    )
    parser.add_argument(
        "--quality", nargs="+", action=Files, default=[], metavar="FILE", help="utterance value; or log:FILE"
    )
    parser.add_argument(
        "--train-trials", type=Path, action="append", default=[], metavar="FILE", help="labelled; may be repeated"
    )
    parser.add_argument(
        "--train-embeddings", type=Path, action="append", default=[], metavar="SCP", help="one for each --train-trials"
    )
    parser.add_argument(
        "--train-quality",
        nargs="+",
        action=FileLists,
        default=[],
        metavar="FILE",
        help="the tables of --quality, for each",
    )
    parser.add_argument("--p-target", type=prior, metavar="P", help="target prior in training (0.01)")
    parser.add_argument("--ridge", type=positive, metavar="X", help="penalty on the influence of quality (0.003)")
    parser.add_argument("--model", type=Path, metavar="JSON", help="apply this model instead of training one")
    add_missing(parser, "trials without an embedding", "error", "drop", "NUMBER")
    add_out(parser, "enroll test log-likelihood-ratio")


def run(args):
    from avsv.commands._backend import PLDA_FILES
    from avsv.errors import OptionError
    from avsv.jobs.provenance import MadeFrom
    from avsv.scoring.finite import companions
    from avsv.scoring.plda_files import plda_digest
    from avsv.scoring.uncertain_lists import EmbeddingList, score_uncertain

    take_out(args)
    out, n = Path(args.out), len(args.train_trials)
    quality = args.train_quality or [[]] * n
    if (len(args.train_embeddings), len(quality)) != (n, n):
        raise OptionError("expected --train-embeddings, and --train-quality if there is --quality, for each of the "
                          f"{n} --train-trials")  # fmt: skip
    if (args.model is None) == (not n):
        raise OptionError("expected either --train-trials or --model")
    if args.model is not None and (args.p_target is not None or args.ridge is not None):
        raise OptionError("--p-target and --ridge are options of training, which --model replaces")
    given = EmbeddingList(args.trials, args.embeddings, [quality_table(text) for text in args.quality])
    train = [EmbeddingList(*files, [quality_table(text) for text in texts])
             for *files, texts in zip(args.train_trials, args.train_embeddings, quality, strict=True)]  # fmt: skip
    plda = [args.plda / name for name in PLDA_FILES] if args.plda.is_dir() else args.plda
    of_model = {"plda": plda, "model": args.model, "train trials": args.train_trials,
                "train embeddings": args.train_embeddings,
                "train quality": [table.path for one in train for table in one.quality]}  # fmt: skip
    inputs = {"trials": args.trials, "embeddings": args.embeddings, "quality": [table.path for table in given.quality]}
    options = result_options(args) | {"log of quality": [table.log for table in given.quality]}
    made, model = MadeFrom(args.verb, inputs | of_model, options), MadeFrom(args.verb, of_model, options)
    if made.is_current(out) and model.is_current(f"{out}.json"):
        return
    ridge = {} if args.ridge is None else {"ridge": args.ridge}
    name, p_target = plda_digest(args.plda), args.p_target or 0.01
    score_uncertain(out, given, args.plda, name, train, p_target, args.model, args.missing, **ridge)
    made.write(out, companions(out))
    model.write(f"{out}.json")
