"""Appearance embeddings: the encoder, its description, and the choice of the library that runs it."""
