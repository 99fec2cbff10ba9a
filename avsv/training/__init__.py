"""Training: configuration, data sets, trainer, checkpoints."""
