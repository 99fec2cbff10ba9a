#!/usr/bin/env python3
"""Reading a random crop of 200 frames from one-minute feature matrices, compared with kaldiio reading whole matrices.

python tests/benchmarks/archives.py
"""

import sys

import kaldiio
import numpy as np
from beside import beside, parse, title

from avsv.kaldi.matrices import read_crop
from avsv.kaldi.tables import read_table

FRAMES, MELS, CROP = 6000, 80, 200


def main() -> int:
    args, met = parse(__doc__), True
    rng = np.random.default_rng(0)
    title("ms per crop")
    for name, method in (("float", None), ("compressed, as avsv features writes them", 2)):
        scp = args.dir / "feats.scp"
        matrices = {f"u{i}": rng.normal(size=(FRAMES, MELS)).astype(np.float32) for i in range(20)}
        kaldiio.save_ark(str(args.dir / "feats.ark"), matrices, scp=str(scp), compression_method=method)
        crops = [(entry, share) for entry in read_table(scp).values() for share in rng.random(5)]

        def ours(crops=crops):
            return [read_crop(entry, share, CROP) for entry, share in crops]

        def whole(crops=crops):
            begins = [min(int(share * (FRAMES - CROP + 1)), FRAMES - CROP) for _, share in crops]
            return [kaldiio.load_mat(entry)[b : b + CROP] for (entry, _), b in zip(crops, begins, strict=True)]

        assert all(np.allclose(a, b, atol=1e-4) for a, b in zip(ours(), whole(), strict=True))
        met &= beside(name, ours, whole, len(crops), 5.0, args.repeats)
    return not met


if __name__ == "__main__":
    sys.exit(main())
