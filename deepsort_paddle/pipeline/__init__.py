"""From frames to tracks: the stages, run in sequence or in parallel."""
