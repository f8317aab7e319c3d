"""Run folders, checkpoints, caches, locks and atomic file operations."""
