"""What a person says of the tracks of a video, and how it is applied to the track index."""
