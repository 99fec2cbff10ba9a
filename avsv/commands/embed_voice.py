"""avsv embed-voice: voice embeddings of a data directory's sound.

Writes OUT_DIR/embedding.{ark,scp}, one vector a clip, and OUT_DIR/skipped: the clips that could not be used, and why.
Where the data directory has utt2damage (avsv damage), the sound is damaged as it says before it is embedded.

Quality measures of what was embedded, for calibrate --quality and evaluate --by, are written on the way, `utt value`:
  utt2dur        seconds
  utt2speech     share of the frames that are speech, by their energy
  utt2snr        signal-to-noise ratio in dB, estimated from the loud and the quiet frames
  utt2magnitude  Euclidean length of the embedding

A noisy set leaves many clips as they are. With --reuse exp/voice/vox1 those that were embedded there, by the same model
and options, are copied; the table utt2input proves it, a hash of what each vector was made from.

example:
  avsv embed-voice --model speechbrain/spkrec-ecapa-voxceleb data/vox1 exp/voice/vox1
  avsv embed-voice --model exp/voice --shard 1/4 data/vox1 exp/voice/vox1
  avsv embed-voice --model exp/voice --reuse exp/voice/vox1 data/vox1_noisy-0.6 exp/voice/vox1_noisy-0.6
"""

from pathlib import Path

from avsv.commands._arguments import (
    add_allow_pipes,
    add_audio_track,
    add_device,
    add_reuse,
    add_shard,
    add_trust,
    positive,
)


def add_arguments(parser):
    parser.add_argument("--model", required=True, help="SpeechBrain source, a folder of that form, or exp/ folder")
    parser.add_argument("data_dir", type=Path, help="has wav.scp and utt2spk")
    parser.add_argument("out_dir", type=Path)
    add_device(parser)
    add_shard(parser)
    parser.add_argument("--batch-seconds", type=positive, default=60, help="sound in a batch on a GPU (default: 60)")
    add_reuse(parser)
    add_trust(parser)
    add_audio_track(parser)
    add_allow_pipes(parser)


def run(args):
    from avsv.features.quality_measures import VOICE_TABLES
    from avsv.jobs.provenance import MadeFrom
    from avsv.kaldi.damage import MISSING, noise_files, read_damage
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.media_files import with_stamps
    from avsv.kaldi.origin import voice_model
    from avsv.kaldi.reuse import take_over
    from avsv.kaldi.shards import make_archives

    data = read_data_dir(args.data_dir)
    damage = read_damage(args.data_dir, "voice")
    encoder = None
    if voice_model(args.model) == f"voice:{args.model}":  # not on this machine yet; its files name it once they are
        from avsv.embeddings.voice import load_voice_encoder

        encoder = load_voice_encoder(args.model, args.device, args.trust_model)
    model = voice_model(args.model)
    # "padding": embeddings of earlier versions, which depended on their batches, are made again
    settings = {"model": model.removeprefix("voice:"), "padding": "none"}
    if args.audio_track is not None:
        settings["audio_track"] = args.audio_track

    def work(utts, out):
        left = take_over(args.reuse, utts, VOICE_TABLES, out)
        if not left:  # then torch need not be imported
            return
        from avsv.embeddings.voice import embed_clips, load_voice_encoder

        embed = encoder or load_voice_encoder(args.model, args.device, args.trust_model)
        wav = {utt: data.wav[utt] for utt in left}
        embed_clips(embed, wav, data.seconds(), damage, out, args.batch_seconds, args.allow_pipes, args.audio_track)

    missing = {utt for utt, what in damage.items() if what["kind"] == MISSING}
    inputs = {utt: damage.get(utt) for utt in data.wav if utt not in missing}
    inputs = with_stamps(inputs, lambda utt: [data.wav[utt], *noise_files(damage.get(utt))], args.shard)
    # a set in which all voices are missing by design has no embedding, and that is no mistake
    made = MadeFrom(
        args.verb,
        {"model": [Path(args.model) / name for name in ("hyperparams.yaml", "embedding_model.ckpt")],
         "data": [args.data_dir / "wav.scp", args.data_dir / "utt2damage"]}, settings)  # fmt: skip
    make_archives(args.out_dir, ["embedding"], inputs, settings, work, args.shard, args.max_skipped,
                  VOICE_TABLES, may_be_empty=bool(missing), model=model, made=made)  # fmt: skip
