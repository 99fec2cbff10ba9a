"""avsv embed-voice: voice embeddings of a data directory's sound.

Writes OUT_DIR/embedding.{ark,scp}, one vector a clip, and OUT_DIR/skipped: the clips that could not be used, and why.
Where the data directory has utt2damage (avsv damage), the sound is damaged as it says before it is embedded.

Quality measures of what was embedded, for calibrate --quality and evaluate --by, are written on the way, `utt value`:
  utt2dur        seconds
  utt2speech     share of the frames that are speech, by their energy
  utt2snr        signal-to-noise ratio in dB, estimated from the loud and the quiet frames
  utt2magnitude  Euclidean length of the embedding

example:
  avsv embed-voice --model speechbrain/spkrec-ecapa-voxceleb data/vox1 exp/voice/vox1
  avsv embed-voice --model exp/voice --shard 1/4 data/vox1 exp/voice/vox1
"""

from pathlib import Path

from avsv.kaldi.shards import Shard


def add_arguments(parser):
    parser.add_argument("--model", required=True, help="SpeechBrain source, a folder of that form, or exp/ folder")
    parser.add_argument("data_dir", type=Path, help="has wav.scp and utt2spk")
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--shard", type=Shard.parse, default=Shard(), metavar="J/N", help="do part J of N")
    parser.add_argument("--batch-seconds", type=float, default=60, help="sound in a batch (default: 60)")
    parser.add_argument("--max-skipped", type=float, default=0.05, help="share of clips that may fail (default: 0.05)")
    parser.add_argument("--allow-pipes", action="store_true", help="run the commands that wav.scp holds")


def run(args):
    from avsv.features.quality import VOICE_TABLES
    from avsv.kaldi.damage import MISSING, read_damage
    from avsv.kaldi.data_dir import read_data_dir
    from avsv.kaldi.shards import file_digest, make_archives

    data = read_data_dir(args.data_dir)
    damage = read_damage(args.data_dir, "voice")
    weights = Path(args.model) / "embedding_model.ckpt"
    settings = {"model": file_digest(weights) if weights.exists() else args.model, "batch": args.batch_seconds}

    def work(utts, out):
        from avsv.embeddings.voice import embed_clips, make_voice_embedder

        embed = make_voice_embedder(args.model, args.device)
        wav = {utt: data.wav[utt] for utt in utts}
        embed_clips(embed, wav, data.seconds(), damage, out, args.batch_seconds, args.allow_pipes)

    there = {utt: path for utt, path in data.wav.items() if damage.get(utt, {}).get("kind") != MISSING}
    inputs = {utt: [path, damage.get(utt)] for utt, path in there.items()}
    make_archives(args.out_dir, ["embedding"], inputs, settings, work, args.shard, args.max_skipped, VOICE_TABLES)
