"""MOTChallenge: text files, sequence folders, and the benchmark's metrics."""
