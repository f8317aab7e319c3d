"""Folders of runs, checkpoints, caches, locks and atomic files."""
