"""Detector heads: how the outputs of a network become candidate boxes, and which head a file has."""
