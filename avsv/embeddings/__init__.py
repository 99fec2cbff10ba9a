"""From a data directory and a model to an embedding archive."""
