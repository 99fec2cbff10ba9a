"""Embedding extraction: a data directory and a model give an archive of embeddings."""
