"""What is installed, and on what machine, for `--version -v`."""
