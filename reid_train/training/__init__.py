"""The training run: batches, transforms, losses, schedules, processes, and its log."""
