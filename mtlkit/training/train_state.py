"""The state that training steps change: counters, weights, optimizer, random numbers and spike history."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from mtlkit.config.common import OnSpike
from mtlkit.inference.compute import Compute
from mtlkit.training.optimizer import ScheduledOptimizer
from mtlkit.training.rng import RandomState
from mtlkit.training.spikes import LossSpikes
from mtlkit.training.state_dict import StateDict, copy_into


@dataclass
class TrainState:
    """The progress of a training: the numbers of steps, tokens `seen`, seconds and `skipped` steps. `ended`: the training has
    stopped before its last epoch.
    """

    step: int = 0
    seen: int = 0
    seconds: float = 0.0
    skipped: int = 0
    ended: bool = False

    @property
    def speed(self) -> float:
        """Tokens per second."""
        return self.seen / self.seconds

    def add(self, *, tokens: int, seconds: float, skipped: bool) -> None:
        """Counts a step. `seconds` is the total time of the training so far."""
        self.step, self.seen, self.seconds = self.step + 1, self.seen + tokens, seconds
        self.skipped += skipped

    def state_dict(self, *, complete: bool) -> StateDict:
        """The state for `load_state_dict`. `complete`: the last step is done."""
        return StateDict(plain={**vars(self), "complete": complete})

    def load_state_dict(self, state: StateDict) -> None:
        for name in vars(self):
            setattr(self, name, state.plain[name])


class ModelUpdater:
    """Everything that an optimizer step changes: the weights of a model, its optimizer, random numbers and spike history.

    `on_spike`: "ignore" turns spike detection off, "skip" skips the step, "stop" stops the training before it. `frozen_params`
    never train, so they are not saved.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: ScheduledOptimizer,
        compute: Compute,
        *,
        random: RandomState | None = None,
        on_spike: OnSpike = "ignore",
        frozen_params: frozenset[str] = frozenset(),
    ) -> None:
        self.weights, self.frozen_params = dict(model.named_parameters()), frozen_params
        self.optimizer, self.compute = optimizer, compute
        self.random = random or RandomState(model, compute.device)
        self.spikes = None if on_spike == "ignore" else LossSpikes()
        self.stops_on_spike = on_spike == "stop"

    def state_dict(self) -> StateDict:
        """The state for `load_state_dict`, between two steps."""
        parts = {
            "weights": StateDict({name: weight for name, weight in self.weights.items() if name not in self.frozen_params}),
            "optimizer": self.optimizer.state_dict(),
            "random": self.random.state_dict(),
            "spikes": StateDict(plain={"history": self.spikes.state_dict() if self.spikes else None}),
        }
        return StateDict.join(parts)

    def load_state_dict(self, state: StateDict) -> None:
        """Restores a saved state. The same weights must be frozen as when it was saved."""
        copy_into(self.weights, state.part("weights").tensors)
        self.optimizer.load_state_dict(state.part("optimizer"))
        history = state.part("spikes").plain["history"]
        if self.spikes and history:
            self.spikes.load_state_dict(history)
        self.random.load_state_dict(state.part("random"))
