"""Embedding extraction: from a data directory and a model to an archive of embeddings."""
