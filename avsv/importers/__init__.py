"""Embeddings and models in the formats of other toolkits."""
