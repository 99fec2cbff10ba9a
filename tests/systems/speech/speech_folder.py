"""Small folders of features: each speaker's frames come from his own mixture."""

import kaldiio
import numpy as np

D = 4


def write_speech(folder, n_speakers=4, n_clips=3, n_frames=150, seed=0, prefix="s"):
    """Write feats.scp, vad.scp and utt2spk; every third frame is loud nonsense that the voice activity leaves out."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    centres = np.array([[-4.0, 0, 0, 0], [4.0, 0, 0, 0], [0, 4.0, 0, 0]])
    features, activity, utt2spk = {}, {}, []
    for speaker in range(n_speakers):
        own = centres + np.random.default_rng(seed + 100 + speaker).normal(0, 0.7, centres.shape)
        for clip in range(n_clips):
            utt = f"{prefix}{speaker}-{clip}"
            frames = own[rng.integers(0, 3, n_frames)] + rng.normal(0, 1, (n_frames, D))
            speech = np.arange(n_frames) % 3 > 0
            frames[~speech] += 50
            features[utt], activity[utt] = frames.astype(np.float32), speech.astype(np.float32)
            utt2spk.append(f"{utt} {prefix}{speaker}\n")
    kaldiio.save_ark(str(folder / "feats.ark"), features, scp=str(folder / "feats.scp"))
    kaldiio.save_ark(str(folder / "vad.ark"), activity, scp=str(folder / "vad.scp"))
    (folder / "utt2spk").write_text("".join(utt2spk))
    return features, activity
