"""The commands for experiments: deepsort-eval and deepsort-tune."""
