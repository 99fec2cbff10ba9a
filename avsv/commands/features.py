"""avsv features: compute filter banks, cepstra or spectrograms, and voice activity.

Writes OUT_DIR/feats.{ark,scp} and OUT_DIR/vad.{ark,scp} (0 or 1 per frame). After the last shard, DATA_DIR gets
feats.scp and vad.scp, those of the latest kind. Audio is resampled to 16 kHz; frames last 25 ms, every 10 ms.
  fbank        80 log mel energies, as Kaldi's compute-fbank-feats
  mfcc         24 cepstra with first and second derivatives (72 values), as Kaldi's compute-mfcc-feats and add-deltas,
               minus the mean of the surrounding 3 s, as apply-cmvn-sliding; the first cepstrum is the log energy
  spectrogram  257 magnitudes of the short-time spectrum, the input of the VoxCeleb CNN

example:
  avsv features data/vox1 exp/fbank/vox1
  avsv features --kind mfcc --shard 1/4 data/vox1 exp/mfcc/vox1      # for avsv speech train-ubm
  avsv features --mels 30 --sliding-mean 300 data/vox1 exp/fbank30/vox1
"""

from pathlib import Path

from avsv.commands._arguments import add_allow_pipes, add_audio_track, add_shard, at_least_one, at_least_zero


def add_arguments(parser):
    parser.add_argument(
        "--kind", choices=["fbank", "mfcc", "spectrogram"], default="fbank", help="what to compute (fbank)"
    )
    parser.add_argument("--mels", type=at_least_one, metavar="N", help="mel bands (fbank: 80, mfcc: 30)")
    parser.add_argument("--cepstra", type=at_least_one, metavar="N", help="cepstra of mfcc, at most the mel bands (24)")
    parser.add_argument(
        "--deltas", type=at_least_zero, metavar="N", help="derivatives appended: 0, 1 or 2 (fbank: 0, mfcc: 2)"
    )
    parser.add_argument(
        "--sliding-mean", type=at_least_zero, metavar="FRAMES",
        help="subtract the mean of this many frames around each frame; 0: do not (fbank: 0, mfcc: 300)",
    )  # fmt: skip
    parser.add_argument("data_dir", type=Path, help="with wav.scp and utt2spk")
    parser.add_argument("out_dir", type=Path)
    add_shard(parser)
    add_audio_track(parser)
    add_allow_pipes(parser)


def run(args):
    from dataclasses import asdict

    from avsv.features.kinds import Kind
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.media_files import with_stamps
    from avsv.kaldi.shards import make_archives

    kind = Kind.of(args.kind, args.mels, args.cepstra, args.deltas, args.sliding_mean)
    data = read_data_dir(args.data_dir, ("wav.scp",))
    settings = asdict(kind)
    if args.audio_track is not None:
        settings["audio_track"] = args.audio_track

    def work(utts, out):
        from avsv.errors import InputError
        from avsv.features.fbank import RATE, energy_vad
        from avsv.jobs.progress import progress
        from avsv.kaldi.shard_writer import COMPRESSED, TWO_BYTES
        from avsv.media.decoder_process import guarded_each
        from avsv.media.waveforms import read_waveform

        compression = TWO_BYTES if args.kind == "spectrogram" else COMPRESSED
        paths = [data.wav[utt] for utt in utts]
        waveforms = guarded_each(read_waveform, paths, RATE, args.allow_pipes, args.audio_track)
        for utt, read in zip(progress(utts, args.kind), waveforms):
            try:
                features, energy = kind.compute(read())
            except InputError as error:
                out.skip(utt, str(error))
                continue
            out.write("feats", utt, features, compression)
            out.write("vad", utt, energy_vad(energy))

    inputs = with_stamps(dict.fromkeys(data.wav), lambda utt: [data.wav[utt]], args.shard)
    made = MadeFrom(args.verb, {"data": args.data_dir / "wav.scp"}, settings)
    make_archives(args.out_dir, ["feats", "vad"], inputs, settings, work, args.shard, args.max_skipped,
                  copies={name: args.data_dir / name for name in ("feats.scp", "vad.scp")}, made=made)  # fmt: skip
