"""The parts of a model that `--freeze` takes, by name. They are defined in `mtlkit/training/freezing/targets/`."""

from __future__ import annotations

from typing import Any

from mtlkit.config.registries.registry import Registry

FREEZE_TARGETS: Registry[Any] = Registry("freeze target", "mtlkit.training.freezing.targets")
