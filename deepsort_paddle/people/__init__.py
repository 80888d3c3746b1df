"""People: tracks kept with their best moments, joined to persons, and found again in other videos."""
