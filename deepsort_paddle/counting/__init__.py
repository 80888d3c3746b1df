"""Lines and zones, and how many people cross or visit them."""
