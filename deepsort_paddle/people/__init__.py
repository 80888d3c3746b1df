"""People: store the best moments of tracks, join tracks to persons, and search them in other videos."""
