"""Options of each command, one file per command."""
