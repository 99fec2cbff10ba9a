"""avsv fbank: compute Kaldi filter banks and voice activity.

Writes OUT_DIR/feats.{ark,scp} (80 log mel energies, compressed) and OUT_DIR/vad.{ark,scp} (0 or 1 per frame). After the
last shard, DATA_DIR gets feats.scp and vad.scp.

example:
  avsv fbank data/vox1 exp/fbank/vox1
  avsv fbank --shard 1/4 data/vox1 exp/fbank/vox1
"""

from pathlib import Path

from avsv.commands._arguments import add_allow_pipes, add_audio_track, add_shard


def add_arguments(parser):
    parser.add_argument("data_dir", type=Path, help="with wav.scp and utt2spk")
    parser.add_argument("out_dir", type=Path)
    add_shard(parser)
    add_audio_track(parser)
    add_allow_pipes(parser)


def run(args):
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.media_files import with_stamps
    from avsv.kaldi.shard_writer import COMPRESSED
    from avsv.kaldi.shards import make_archives

    data = read_data_dir(args.data_dir, ("wav.scp",))
    settings = {"features": "fbank80"}
    if args.audio_track is not None:
        settings["audio_track"] = args.audio_track

    def work(utts, out):
        from avsv.errors import InputError
        from avsv.features.fbank import RATE, energy_vad, fbank_and_energy
        from avsv.jobs.progress import progress
        from avsv.media.decoder_process import guarded_each
        from avsv.media.waveforms import read_waveform

        paths = [data.wav[utt] for utt in utts]
        waveforms = guarded_each(read_waveform, paths, RATE, args.allow_pipes, args.audio_track)
        for utt, read in zip(progress(utts, "fbank"), waveforms):
            try:
                features, energy = fbank_and_energy(read())
            except InputError as error:
                out.skip(utt, str(error))
                continue
            out.write("feats", utt, features, COMPRESSED)
            out.write("vad", utt, energy_vad(energy))

    inputs = with_stamps(dict.fromkeys(data.wav), lambda utt: [data.wav[utt]], args.shard)
    made = MadeFrom(args.verb, {"data": args.data_dir / "wav.scp"}, settings)
    make_archives(args.out_dir, ["feats", "vad"], inputs, settings, work, args.shard, args.max_skipped,
                  copies={name: args.data_dir / name for name in ("feats.scp", "vad.scp")}, made=made)  # fmt: skip
