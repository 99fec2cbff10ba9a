"""avsv synchrony score: does the mouth belong to the sound? Distances and offsets of a data directory's clips.

The mouths are those of DATA_DIR/mouths.scp, made by avsv synchrony mouths; the sound is that of wav.scp. OUT_DIR gets
distances.{ark,scp}, a matrix a clip: the offsets in seconds in the first row, then for each piece of 0.2 or 0.3 s of
mouth its distance from the sound at each offset; and the tables
  utt2offset      seconds by which the sound is late; below 0 it leads
  utt2distance    mean distance there
  utt2confidence  how much less that is than the median over all offsets
  utt2speaking    yes where the confidence reaches the network's threshold: the face is the speaker's
When the last shard is done, DATA_DIR gets utt2speaking, for evaluate --by and report --by. A clip without mouths or
sound, or shorter than three pieces, is skipped, counted and listed in OUT_DIR/skipped.

example:
  avsv synchrony score --model exp/syncnet data/test exp/syncnet/test
  avsv synchrony score --model exp/coupled_cnn --shard 1/4 data/test exp/coupled_cnn/test
"""

import logging
from pathlib import Path

from avsv.commands._arguments import add_audio_track, not_negative, share
from avsv.jobs.fingerprints import file_digest
from avsv.jobs.shards import Shard
from avsv.kaldi.data_dir import read_data_dir
from avsv.kaldi.media_files import with_stamps
from avsv.kaldi.shards import make_archives

log = logging.getLogger("avsv")
TABLES = ("utt2offset", "utt2distance", "utt2confidence", "utt2speaking")


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="has mouths.scp and wav.scp")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="an exp/ folder of task coupled_cnn or syncnet")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--largest", type=not_negative, default=0.6, metavar="SECONDS", help="offset looked at (0.6)")
    parser.add_argument("--confidence", type=not_negative, help="of a speaker, at least (the network's own threshold)")
    parser.add_argument("--shard", type=Shard.parse, default=Shard(), metavar="J/N", help="do part J of N")
    parser.add_argument("--max-skipped", type=share, default=0.05, help="share of clips that may fail (default: 0.05)")
    add_audio_track(parser)
    parser.add_argument("--allow-pipes", action="store_true", help="run the commands that wav.scp holds")


def run(args):
    from avsv.errors import InputError
    from avsv.systems.synchrony.embedding import NAME, load_network

    data = read_data_dir(args.data_dir)
    mouths = {utt: entry for utt, entry in data.table("mouths.scp").items() if utt in data.wav}
    if not mouths:
        raise InputError(
            f"{args.data_dir}: no clip has mouths (mouths.scp, run avsv synchrony mouths) and sound (wav.scp)"
        )
    log.info("%s: %d of %d clips have mouths and sound", args.data_dir, len(mouths), len(data.utts))
    threshold = load_network(args.model).threshold if args.confidence is None else args.confidence
    if threshold is None:
        raise InputError(f"{args.model}: was trained without held-out people (valid_dir) and has no threshold of its "
                        "own; give --confidence")  # fmt: skip
    inputs = {utt: [entry, data.wav[utt]] for utt, entry in mouths.items()}
    settings = {"model": file_digest(args.model / NAME), "largest": args.largest, "threshold": threshold}
    if args.audio_track is not None:
        settings["audio_track"] = args.audio_track

    def work(utts, out):
        score_clips(args, inputs, threshold, utts, out)

    stamped = with_stamps(inputs, lambda utt: inputs[utt], args.shard)
    make_archives(args.out_dir, ["distances"], stamped, settings, work, args.shard, args.max_skipped, TABLES,
                  copies={"utt2speaking": args.data_dir / "utt2speaking"})  # fmt: skip


def score_clips(args, inputs, threshold, utts, out):
    import numpy as np

    from avsv.errors import InputError
    from avsv.features.fbank import RATE
    from avsv.jobs.progress import progress
    from avsv.media.decoder_process import guarded
    from avsv.media.waveforms import read_waveform
    from avsv.systems.synchrony.embedding import make_synchrony_embedder
    from avsv.systems.synchrony.mouths import read_mouths
    from avsv.systems.synchrony.scoring import distance_matrix, find_offset

    embedder = make_synchrony_embedder(args.model, args.device)
    for utt in progress(utts, "score synchrony"):
        entry, wav = inputs[utt]
        try:
            sound = guarded(read_waveform, wav, RATE, args.allow_pipes, args.audio_track)
            vectors = embedder.embed(read_mouths(entry), sound)
            if not (np.isfinite(vectors.mouths).all() and np.isfinite(vectors.sound).all()):
                raise InputError("the network's vectors are NaN or infinite")
            offsets, matrix = distance_matrix(vectors, args.largest)
            found = find_offset(offsets, matrix)
        except InputError as error:
            out.skip(utt, str(error))
            continue
        out.write("distances", utt, np.vstack([offsets, matrix]), gaps=True)
        out.note("utt2offset", utt, found.offset)
        out.note("utt2distance", utt, found.distance)
        out.note("utt2confidence", utt, found.confidence)
        out.note("utt2speaking", utt, "yes" if found.confidence >= threshold else "no")
