"""From frames to tracks: the stages, run one after the other or side by side."""
