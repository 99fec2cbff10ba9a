"""avsv embed-voice: extract speaker embeddings for the clips in a data directory.

Writes OUT_DIR/embedding.{ark,scp}, one vector per clip, and OUT_DIR/skipped, the unusable clips with the reason. Damage
listed in DATA_DIR/utt2damage (see avsv damage) is applied to the waveform first.

It also writes quality measures as tables "utt value", for calibrate --quality and evaluate --by:
  utt2dur        duration in seconds
  utt2speech     share of the frames that contain speech, by their energy
  utt2snr        signal-to-noise ratio in dB, estimated from loud and quiet frames
  utt2magnitude  Euclidean length of the embedding

Encoders of WeSpeaker, ReDimNet2, 3D-Speaker and NeMo, and exported ones, are ONNX files; their metadata or a FILE.yaml
beside FILE.onnx say which features they expect (docs/add-encoder.md). avsv models lists published encoders.

An encoder of your own is a Python class, FILE.py:CLASS, with the attributes rate (Hz) and size, and the method
embed(waveform) -> vector; --trust-model allows its file to run (docs/add-encoder.md).

Many clips of a noisy set are undamaged. With --reuse exp/voice/vox1, embeddings of identical clips by the same model
and options are copied from there; the table utt2input holds a hash of each vector's inputs as proof.

example:
  avsv embed-voice --model speechbrain/spkrec-ecapa-voxceleb data/vox1 exp/voice/vox1
  avsv embed-voice --model exp/voice --shard 1/4 data/vox1 exp/voice/vox1
  avsv embed-voice --model exp/voice --reuse exp/voice/vox1 data/vox1_noisy-0.6 exp/voice/vox1_noisy-0.6
  avsv embed-voice --model models/campplus.onnx data/vox1 exp/campplus/vox1
  avsv embed-voice --model my_encoder.py:MyEncoder --trust-model data/vox1 exp/my_encoder/vox1
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
    parser.add_argument(
        "--model",
        required=True,
        help="SpeechBrain source, folder in that format, exp/ folder, FILE.onnx, or FILE.py:CLASS",
    )
    parser.add_argument("data_dir", type=Path, help="with wav.scp and utt2spk")
    parser.add_argument("out_dir", type=Path)
    add_device(parser)
    add_shard(parser)
    parser.add_argument("--batch-seconds", type=positive, default=60, help="audio per batch on a GPU (60)")
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
    from avsv.kaldi.origin import voice_model, voice_model_files
    from avsv.kaldi.reuse import take_over
    from avsv.kaldi.shards import make_archives

    data = read_data_dir(args.data_dir)
    damage = read_damage(args.data_dir, "voice")
    encoder = None
    if voice_model(args.model) == f"voice:{args.model}":  # not downloaded yet; its files will give the name
        from avsv.embeddings.voice import load_voice_encoder

        encoder = load_voice_encoder(args.model, args.device, args.trust_model)
    model = voice_model(args.model)
    # "padding": redo embeddings of earlier versions, which depended on their batches
    settings = {"model": model.removeprefix("voice:"), "padding": "none"}
    if args.audio_track is not None:
        settings["audio_track"] = args.audio_track

    def work(utts, out):
        left = take_over(args.reuse, utts, VOICE_TABLES, out)
        if not left:  # avoids importing torch
            return
        from avsv.embeddings.voice import embed_clips, load_voice_encoder

        embed = encoder or load_voice_encoder(args.model, args.device, args.trust_model)
        wav = {utt: data.wav[utt] for utt in left}
        embed_clips(embed, wav, data.seconds(), damage, out, args.batch_seconds, args.allow_pipes, args.audio_track)

    missing = {utt for utt, what in damage.items() if what["kind"] == MISSING}
    inputs = {utt: damage.get(utt) for utt in data.wav if utt not in missing}
    inputs = with_stamps(inputs, lambda utt: [data.wav[utt], *noise_files(damage.get(utt))], args.shard)
    # a set in which all voices are missing by design has no embeddings; that is not an error
    made = MadeFrom(
        args.verb,
        {"model": voice_model_files(args.model),
         "data": [args.data_dir / "wav.scp", args.data_dir / "utt2damage"]}, settings)  # fmt: skip
    make_archives(args.out_dir, ["embedding"], inputs, settings, work, args.shard, args.max_skipped,
                  VOICE_TABLES, may_be_empty=bool(missing), model=model, made=made)  # fmt: skip
