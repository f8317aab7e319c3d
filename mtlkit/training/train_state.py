"""What the steps of a training change, whatever it learns, and where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from mtlkit.config.common import OnSpike
from mtlkit.inference.compute import Compute
from mtlkit.training.loop import LoopState
from mtlkit.training.optimizer import load_optimizer, make_optimizer, optimizer_state
from mtlkit.training.rng import RandomState
from mtlkit.training.spikes import LossSpikes
from mtlkit.training.state_dict import StateDict, copy_into


@dataclass
class TrainState:
    """Where a training stands: steps taken, tokens seen, seconds passed, steps skipped; whether it has come to its end before its
    last epoch."""

    step: int = 0
    seen: int = 0
    seconds: float = 0.0
    skipped: int = 0
    ended: bool = False

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.seen / self.seconds


class Updates:
    """The weights of a model, the optimizer that moves them, random numbers, and where spikes are looked for, what is usual. Of
    weights that `frozen_params` train nothing is saved: they are the start's."""

    def __init__(
        self,
        model: nn.Module,
        weight_decay: float,
        on_spike: OnSpike,
        compute: Compute,
        lr_scales: Mapping[str, float] | None = None,
        frozen_params: frozenset[str] = frozenset(),
        random: RandomState | None = None,
    ) -> None:
        self.weights, self.frozen_params = dict(model.named_parameters()), frozen_params
        self.random = random or RandomState(model, compute.device)
        self.optimizer = make_optimizer(self.weights, weight_decay, lr_scales)
        self.spikes = None if on_spike == "ignore" else LossSpikes()
        self.stops = on_spike == "stop"

    def begun(self, step: int) -> LoopState:
        """For the loop, to go on after so many steps."""
        return LoopState(self.optimizer, step, self.spikes, self.stops, self.random)

    def parts(self) -> dict[str, StateDict]:
        """All that `load` needs, between two steps: parts of what the training is saved as."""
        return {
            "weights": StateDict({name: weight for name, weight in self.weights.items() if name not in self.frozen_params}),
            "optimizer": optimizer_state(self.optimizer, self.weights),
            "random": self.random.state(),
            "spikes": StateDict(plain={"history": self.spikes.state() if self.spikes else None}),
        }

    def load(self, state: StateDict) -> None:
        """Goes on from what has these parts. What is frozen then must be frozen by now."""
        copy_into(self.weights, state.part("weights").tensors)
        load_optimizer(self.optimizer, self.weights, state.part("optimizer"))
        history = state.part("spikes").plain["history"]
        if self.spikes and history:
            self.spikes.load(history)
        self.random.load(state.part("random"))
