"""The outputs of a run: text, CSV, JSON, video, crops, and the report page."""
