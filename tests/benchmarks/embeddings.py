#!/usr/bin/env python3
"""Voice and face embeddings, compared with the loop that a user of SpeechBrain or InsightFace would write.

    python tests/benchmarks/embeddings.py --clips 60

Voice: ECAPA-TDNN of the published size (1,024 channels, random weights) on clips of 2 to 20 s cut from real recordings,
compared with a loop over `EncoderClassifier.encode_batch`, clip by clip and in padded batches of 8. Face: five faces
from each 160-pixel mp4 with the pack in AVSV_REAL_DATA/models/mobileface, compared with `FaceAnalysis.get` on the same
five frames after decoding the video up to the last of them. The embeddings are compared too: the lowest cosine is
printed.
"""

import contextlib
import io
import sys
import warnings
from pathlib import Path

import numpy as np
import soundfile
import torch
from beside import REAL, beside, parse, title

from avsv.embeddings.face import FaceEmbedder, media_faces
from avsv.embeddings.face import embed_clips as embed_faces
from avsv.embeddings.voice import embed_clips as embed_voices
from avsv.embeddings.voice import load_voice_encoder
from avsv.features.face_pack import load_pack
from avsv.features.quality_measures import FACE_TABLES, VOICE_TABLES
from avsv.kaldi.embeddings import read_embeddings
from avsv.kaldi.shard_writer import ShardWriter
from avsv.media.images import evenly_spaced, frame_times, upright
from avsv.models.speaker_encoders import ecapa_arguments, make_speaker_encoder
from avsv.models.speechbrain_folder import load_encoder, save_speechbrain_folder

SIZES = (80, 1024, 128, 192)


def make_encoder(folder: Path) -> Path:
    """A SpeechBrain folder with random weights and non-trivial batch-norm statistics."""
    torch.manual_seed(0)
    net = make_speaker_encoder("ecapa", ecapa_arguments(*SIZES))
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.uniform_(-0.3, 0.3)
            module.running_var.uniform_(0.5, 2)
    save_speechbrain_folder(folder, net, torch.zeros(2, SIZES[3]), ["a", "b"], ecapa_arguments(*SIZES))
    return folder


def make_clips(folder: Path, n: int) -> dict[str, str]:
    """Clips of 2 to 20 s, more short than long ones, cut from the corpus' recordings one after the other."""
    folder.mkdir(exist_ok=True)
    files = sorted((REAL / "minivox/vox1/wav").rglob("*.wav"))
    sound = np.concatenate([soundfile.read(file, dtype="float32")[0] for file in files[:60]])
    rng, wav = np.random.default_rng(0), {}
    for number in range(n):
        n_samples = int(16000 * (2 + 18 * rng.random() ** 2))
        begin = int(rng.integers(len(sound) - n_samples))
        wav[f"c{number:04d}"] = str(folder / f"c{number:04d}.wav")
        soundfile.write(wav[f"c{number:04d}"], sound[begin : begin + n_samples], 16000)
    return wav


def least_cosine(out: Path, theirs: dict[str, np.ndarray]) -> float:
    found = read_embeddings(out / "embedding.scp", only=theirs)
    ours = found.vectors / np.linalg.norm(found.vectors, axis=1, keepdims=True)
    peer = np.stack([theirs[utt] / np.linalg.norm(theirs[utt]) for utt in found.ids])
    return float((ours * peer).sum(axis=1).min())


def voice(args) -> bool:
    source, wav = make_encoder(args.dir / "ecapa"), make_clips(args.dir / "clips", args.clips)
    embed, encoder, theirs = load_voice_encoder(str(source)), load_encoder(str(source), "cpu"), {}

    def ours():
        with ShardWriter(args.dir, ["embedding"], "", (*VOICE_TABLES, "utt2input")) as out:
            embed_voices(embed, wav, {}, {}, out)

    def loop():
        for utt, path in wav.items():
            sound = torch.from_numpy(soundfile.read(path, dtype="float32")[0])
            theirs[utt] = encoder.encode_batch(sound[None]).reshape(-1).numpy()

    def padded():
        paths = list(wav.values())
        for begin in range(0, len(paths), 8):
            sounds = [torch.from_numpy(soundfile.read(p, dtype="float32")[0]) for p in paths[begin : begin + 8]]
            longest = max(map(len, sounds))
            batch = torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True)
            encoder.encode_batch(batch, torch.tensor([len(sound) / longest for sound in sounds]))

    met = beside("voice: encode_batch, clip by clip", ours, loop, len(wav), 2.0, args.repeats)
    met &= beside("voice: encode_batch, 8 clips, padded", ours, padded, len(wav), 1.0, args.repeats)
    cosine = least_cosine(args.dir, theirs)
    print(f"{'':44}least cosine to encode_batch alone: {cosine:.7f}")
    return met and cosine > 0.9999


def face(args) -> bool:
    import av
    from insightface.app import FaceAnalysis

    videos = sorted((REAL / "minivox/vox2/dev/mp4").rglob("*.mp4"))[: args.clips]
    video, theirs = {f"c{number:04d}": str(path) for number, path in enumerate(videos)}, {}
    pack = load_pack(REAL / "models/mobileface", threads=1)
    with contextlib.redirect_stdout(io.StringIO()):
        app = FaceAnalysis(name=str(REAL / "models/mobileface"), providers=["CPUExecutionProvider"])
        app.prepare(ctx_id=-1, det_size=(640, 640))

    def ours():
        with ShardWriter(args.dir, ["embedding"], "", (*FACE_TABLES, "utt2input")) as out:
            embed_faces(FaceEmbedder(pack.recognition), media_faces(video, pack.detection, 5), video, out, {})

    def loop():
        for utt, path in video.items():
            times, _ = frame_times(Path(path))
            wanted = {times[i] for i in evenly_spaced(len(times), 5)}
            with av.open(path) as container:
                frames = []
                for frame in container.decode(container.streams.video[0]):
                    if frame.pts in wanted:
                        frames.append(upright(frame))
                        if len(frames) == len(wanted):
                            break
            faces = [found[0].normed_embedding for found in map(app.get, frames) if found]
            if faces:
                theirs[utt] = np.mean(faces, axis=0)

    met = beside("face: FaceAnalysis.get on five frames", ours, loop, len(video), 2.0, args.repeats)
    print(f"{'':44}least cosine to FaceAnalysis: {least_cosine(args.dir, theirs):.4f} (it detects at 640 px)")
    return met


def main() -> int:
    args = parse(__doc__)
    warnings.simplefilter("ignore")
    title()
    return not all([voice(args), face(args)])


if __name__ == "__main__":
    sys.exit(main())
