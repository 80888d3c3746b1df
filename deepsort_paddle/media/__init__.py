"""Frames in and out: files, streams, cameras and images; the video writer."""
