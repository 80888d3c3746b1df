"""Readers: folders, file names and lists of public data sets to an index of images."""
