"""Embeddings of crops: the encoder, its description, and the library that runs it."""
