"""Count people who cross lines and visit zones."""
