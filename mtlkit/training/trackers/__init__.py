"""Experiment trackers: each follows the log of a training in a process of its own, and can neither stop nor slow it."""
