"""What the report page shows: paths of tracks, thumbnails, a heat map, counts over time."""
