"""Training, evaluation and export of person re-identification networks."""
