"""The experiment trackers of `--track`. Every module here is imported, and registers one with `TRACKERS.add(...)`."""
