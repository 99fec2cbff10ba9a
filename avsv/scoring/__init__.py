"""Back-ends: cosine, PLDA, score normalisation, calibration and fusion. Does not import torch."""
