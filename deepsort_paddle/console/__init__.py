"""What all commands have in common: errors of one line, log records as lines, Ctrl-C and kill."""
