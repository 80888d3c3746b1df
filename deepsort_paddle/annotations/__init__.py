"""Read and write annotations: CVAT XML and MOTChallenge ground truth."""
