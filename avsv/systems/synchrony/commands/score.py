"""avsv synchrony score: distances, offsets and confidence of mouth and audio for the clips of a data directory.

Reads the mouth images of DATA_DIR/mouths.scp (from avsv synchrony mouths) and the audio of wav.scp. Writes
OUT_DIR/distances.{ark,scp}, one matrix per clip: the first row has the offsets in seconds, each further row the
distances of one mouth cube (0.2 or 0.3 s) from the audio at these offsets. Also writes the tables
  utt2offset      delay of the audio in seconds; negative if the audio leads
  utt2distance    mean distance at that offset
  utt2confidence  median distance over all offsets minus the least one
  utt2speaking    yes if the confidence reaches the network's threshold: the face is the speaker's
When the last shard is done, utt2speaking is copied to DATA_DIR for evaluate --by and report --by. A clip without mouth
images or audio, or shorter than three cubes, is skipped, counted and listed in OUT_DIR/skipped.

example:
  avsv synchrony score --model exp/syncnet data/test exp/syncnet/test
  avsv synchrony score --model exp/coupled_cnn --shard 1/4 data/test exp/coupled_cnn/test
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_allow_pipes, add_audio_track, add_shard, not_negative
from avsv.systems.synchrony.commands._arguments import add_largest_offset, add_model

log = logging.getLogger("avsv")
TABLES = ("utt2offset", "utt2distance", "utt2confidence", "utt2speaking")


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="has mouths.scp and wav.scp")
    parser.add_argument("out_dir", type=Path)
    add_model(parser)
    add_largest_offset(parser)
    parser.add_argument(
        "--confidence", type=not_negative, help="least confidence of a speaker (default: the network's threshold)"
    )
    add_shard(parser)
    add_audio_track(parser)
    add_allow_pipes(parser)


def run(args):
    from avsv.errors import InputError
    from avsv.jobs.fingerprints import file_digest
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.media_files import with_stamps
    from avsv.kaldi.shards import make_archives
    from avsv.models.checkpoint import load
    from avsv.systems.synchrony.embedding import SYNCHRONY

    data = read_data_dir(args.data_dir)
    mouths = {utt: entry for utt, entry in data.table("mouths.scp").items() if utt in data.wav}
    if not mouths:
        raise InputError(f"{args.data_dir}: expected clips in both mouths.scp and wav.scp, found none; "
                         "run avsv synchrony mouths")  # fmt: skip
    log.info("%s: %d of %d clips have mouth images and audio", args.data_dir, len(mouths), len(data.utts))
    threshold = load(args.model, SYNCHRONY)[0].threshold if args.confidence is None else args.confidence
    if threshold is None:
        raise InputError(f"{args.model}: has no threshold because it was trained without held-out people (valid_dir); "
                         "give --confidence")  # fmt: skip
    inputs = {utt: [entry, data.wav[utt]] for utt, entry in mouths.items()}
    settings = {"model": file_digest(SYNCHRONY.path(args.model)), "largest": args.largest, "threshold": threshold}
    if args.audio_track is not None:
        settings["audio_track"] = args.audio_track

    def work(utts, out):
        from avsv.systems.synchrony.embedding import make_synchrony_embedder, score_clips

        embedder = make_synchrony_embedder(args.model, args.device)
        score_clips(embedder, {utt: inputs[utt] for utt in utts}, threshold, out, args.largest, args.audio_track,
                    args.allow_pipes)  # fmt: skip

    stamped = with_stamps(dict.fromkeys(inputs), lambda utt: inputs[utt], args.shard)
    tables = [args.data_dir / "mouths.scp", args.data_dir / "wav.scp"]
    made = MadeFrom(args.verb, {"model": SYNCHRONY.path(args.model), "data": tables}, settings)
    make_archives(args.out_dir, ["distances"], stamped, settings, work, args.shard, args.max_skipped, TABLES,
                  copies={"utt2speaking": args.data_dir / "utt2speaking"}, made=made)  # fmt: skip
