"""Data sets: reading, splitting, checking and preparing them."""
