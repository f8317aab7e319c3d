"""What is settled before a training begins: what is frozen, how tasks are mixed, and how what was learned before is kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from mtlkit.config.training import Schedule
from mtlkit.training.freezing import Freezing
from mtlkit.training.guards import GuardChoice
from mtlkit.training.objectives import Objective


@dataclass(frozen=True)
class Regime:
    """The terms of a training.

    `known` are the tasks whose heads the starting model brought, `watched` those that are only evaluated, besides any whose
    head is frozen; `rehearsed` are watched tasks of which some batches stay in the mix; `max_forgetting` is in points.
    """

    freezing: Freezing
    schedule: Schedule = "round-robin"
    known: frozenset[str] = frozenset()
    watched: frozenset[str] = frozenset()
    rehearsed: Mapping[str, Fraction] = field(default_factory=dict)
    guards: tuple[GuardChoice, ...] = ()
    max_forgetting: float | None = None

    def trained(self, objectives: Mapping[str, Objective]) -> dict[str, Objective]:
        """Those that learn: neither watched by request nor with a frozen head."""
        always = self.freezing.always
        return {
            name: one
            for name, one in objectives.items()
            if name not in self.watched and not (one.head and self.freezing.wholly(one.head, always))
        }
