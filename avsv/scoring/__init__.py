"""Back-ends: cosine, PLDA, score normalisation, calibration and fusion. No torch here."""
