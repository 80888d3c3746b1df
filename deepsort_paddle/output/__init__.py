"""What a run writes: text, CSV, JSON, video, crops, and the report page."""
