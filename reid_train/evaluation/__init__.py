"""Retrieval metrics: features, rankings, figures, reports, and the threshold."""
