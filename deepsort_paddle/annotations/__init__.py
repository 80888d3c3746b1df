"""Annotations of annotation tools: CVAT XML and MOTChallenge ground truth."""
