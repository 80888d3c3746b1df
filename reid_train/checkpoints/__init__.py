"""Weights in files: checkpoints of a run, exported and pretrained weights."""
