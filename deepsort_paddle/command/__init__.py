"""The commands `deepsort-track` and `deepsort-eval`: options, checks, and the run."""
