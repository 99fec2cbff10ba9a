#!/usr/bin/env python3
"""Training steps with the loader (crop, decode, augment, two workers), compared with steps on one fixed batch.

    python tests/benchmarks/loader.py

The voice encoder of egs/voxceleb/conf/voice_small.yaml (256 channels, batches of 32 crops of 2 s) on real recordings
and noises. "read from files" decodes each crop; "kept in memory" takes it from the cache, as training does. On a CPU
the workers share the cores with the step, so the loader costs at least its own processor time.
"""

import sys
from itertools import islice

import torch
from beside import REAL, beside, parse, title

from avsv.kaldi.tables import write_table
from avsv.training.batches import load_batches
from avsv.training.tasks.voice import Crops, VoiceConfig, VoiceModel, classification_step
from avsv.training.trainer import Trainer

SORTS = {"noise": "musan/noise", "music": "musan/music", "speech": "musan/speech", "rir": "RIRS_NOISES"}


def main() -> int:
    args, met = parse(__doc__), True
    noises = {
        f"{sort}-{number:04d}": (sort, str(path))
        for sort, folder in SORTS.items()
        for number, path in enumerate(sorted((REAL / "minivox" / folder).rglob("*.wav")))
    }
    write_table(args.dir / "noises/utt2spk", {utt: sort for utt, (sort, _) in noises.items()})
    write_table(args.dir / "noises/wav.scp", {utt: path for utt, (_, path) in noises.items()})
    paths = [str(path) for path in sorted((REAL / "minivox/vox2/dev/aac").rglob("*.m4a"))]
    title("ms per batch of 32")
    for name, mib in (("kept in memory", 2000), ("read from files", 0)):
        config = VoiceConfig(
            exp_dir=str(args.dir / "loader"), noise_dir=str(args.dir / "noises"), batch_size=32, workers=2,
            channels=256, attention_channels=64, crop_seconds=(2.0, 2.0), cache_mib=mib, epochs=1,
        )  # fmt: skip
        crops = Crops(config, paths, torch.arange(len(paths)).numpy() // 10, 50)
        torch.manual_seed(0)
        trainer = Trainer(VoiceModel(config, 50), config)
        step = classification_step(trainer.model, trainer)
        n = max(2, args.clips // 10)
        batches = iter(load_batches(crops, crops.plan(0), config))
        batch = next(batches)

        def loaded(batches=batches, trainer=trainer, step=step, n=n):
            for each in islice(batches, n):
                trainer.update(step, each)

        def alone(batch=batch, trainer=trainer, step=step, n=n):
            for _ in range(n):
                trainer.update(step, batch)

        alone()
        met &= beside(f"step with two workers, audio {name}", loaded, alone, n, 0.95, args.repeats)
    return not met


if __name__ == "__main__":
    sys.exit(main())
