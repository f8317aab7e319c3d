"""Decides which steps are tracked, so that all tasks take turns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any


class TrackingRotation:
    """From each multiple of `every` on (0: never), the first step with a least-tracked task is due."""

    def __init__(self, tasks: Sequence[str], every: int) -> None:
        self.tasks, self.every = tuple(tasks), every
        self.next = 0
        self.counts: Counter[str] = Counter()  # tracked micro-batches of each task

    def due(self, index: int, tasks: Collection[str], *, ready: bool) -> bool:
        """Whether to track step `index`, whose first micro-batch has these tasks. `ready`: pairs of tasks can be compared. If no
        suitable step comes for a while, any step is due.
        """
        if not self.every or index < self.next:
            return False
        least = min((self.counts[task] for task in self.tasks), default=0)
        turn = not self.tasks or any(self.counts[task] == least for task in tasks)
        return (turn and ready) or index - self.next >= 2 * len(self.tasks)

    def track(self, index: int) -> None:
        """Records that step `index` is tracked."""
        self.next = (index // self.every + 1) * self.every

    def count(self, tasks: Iterable[str]) -> None:
        """Counts a micro-batch of a tracked step."""
        self.counts.update(list(tasks))  # a mapping would add its values

    def state_dict(self) -> dict[str, Any]:
        return {"next": self.next, "looks": self.counts.copy()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.next, self.counts = state["next"], Counter(state["looks"])
