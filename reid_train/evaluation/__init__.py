"""Retrieval evaluation: features, rankings, metrics, reports and the matching threshold."""
