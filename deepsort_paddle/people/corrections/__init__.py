"""A user's corrections of the tracks of a video, and their application to the track index."""
