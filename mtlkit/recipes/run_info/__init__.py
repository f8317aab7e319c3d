"""The files and ancestors of a run, for `info`."""
