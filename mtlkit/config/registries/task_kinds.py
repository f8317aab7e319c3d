"""The kinds of task by name, as a source's `kind=` and config.json spell them.

They are defined in `mtlkit/tasks/`, one module each. The layers below that one (labels, metrics, heads, predictions) ask the
kind of a task through this registry, each by a protocol of its own, and name no kind.
"""

from __future__ import annotations

from typing import Any

from mtlkit.config.registries.registry import Registry

KINDS: Registry[Any] = Registry("kind of task", "mtlkit.tasks")
