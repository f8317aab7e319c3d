"""What the first phase of `--refit` chose and measured on held-out rows, and where the second one stops."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

from mtlkit.config.calibration import Calibration
from mtlkit.runs.record import BEFORE_REFIT
from mtlkit.training.events import BestOfTask, Chosen, Epoch, TaskState
from mtlkit.training.head_incidents import ScopeFitted
from mtlkit.training.plan import Stop
from mtlkit.training.sampling.steps import StepSchedule
from mtlkit.training.state_dict import StateDict
from mtlkit.training.validation.scope import SCOPES, scopes_from, scopes_state


@dataclass(frozen=True)
class Selection:
    """The chosen evaluation, the place where the second phase stops, the calibration and the scope of each head whose rows are
    given back, and the steps and epochs that the first phase took."""

    chosen: Chosen
    stop: Stop
    calibrations: Mapping[str, Calibration]
    scopes: Mapping[str, ScopeFitted]
    steps: int
    epochs: int

    def state_dict(self) -> StateDict:
        plain = {
            "epoch": asdict(self.chosen.epoch),
            "bests": [asdict(replace(best, weights=None)) for best in self.chosen.bests],
            "stop": asdict(self.stop),
            "calibrations": {name: asdict(calibration) for name, calibration in self.calibrations.items()},
            "steps": self.steps,
            "epochs": self.epochs,
        }
        return StateDict.join({"own": StateDict(plain=plain), SCOPES: scopes_state(self.scopes)})

    @classmethod
    def from_state(cls, state: StateDict) -> Selection:
        plain = state.plain["own"]
        epoch = Epoch(**{**plain["epoch"], "tasks": tuple(TaskState(**task) for task in plain["epoch"]["tasks"])})
        calibrations = {
            name: Calibration(**{**values, "thresholds": tuple(values["thresholds"])})
            for name, values in plain["calibrations"].items()
        }
        return cls(
            Chosen(epoch, tuple(BestOfTask(**best) for best in plain["bests"])),
            Stop(**plain["stop"]),
            calibrations,
            scopes_from(state.part(SCOPES)),
            plain["steps"],
            plain["epochs"],
        )

    def measured(self, last: Epoch) -> tuple[TaskState, ...]:
        """Each task after the second phase: as measured at its end, `last`, where it has rows left that were not trained on, else
        as the first phase measured it.
        """
        now = {state.task: state for state in last.tasks}
        return tuple(
            now[state.task]
            if now[state.task].validation["loss"] is not None
            else replace(state, validation={**state.validation, BEFORE_REFIT: True})
            for state in self.chosen.epoch.tasks
        )


def stop_at(schedule: StepSchedule, step: int, passes: int) -> Stop:
    """Where a schedule of epochs with other rows stops if its training is to be as long as `step` steps of this one."""
    epoch, index = schedule.locate(step - 1)
    left = {name: since for name, since in schedule.left.items() if since <= epoch}
    return Stop(epoch + 1, (index + 1) / schedule.length(epoch), passes, left)
