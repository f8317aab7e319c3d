"""Kinds of task, a module each: how labels are read and encoded, the head, its loss, predictions and metrics.

To add a kind, add a module with a subclass of `base.TaskKind` and `KINDS.add(...)`. Modules here import torch inside functions
alone, since `--help` and checks of options read the names of kinds.
"""
