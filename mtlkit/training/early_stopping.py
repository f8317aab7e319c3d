"""When a training ends before its last epoch, and when a task leaves the mix."""

from __future__ import annotations

from collections.abc import Collection

from mtlkit.training.best_weights import BestWeights
from mtlkit.training.incidents import TaskStopped, TrainingStopped
from mtlkit.training.plan import Options
from mtlkit.training.sampling.steps import StepSchedule


class EarlyStopping:
    """`--patience` and `--task-patience`: stops after epochs without a better score of all tasks together, or of one task."""

    def __init__(self, options: Options, best_weights: BestWeights, schedule: StepSchedule) -> None:
        self.options, self.best_weights, self.schedule = options, best_weights, schedule

    @property
    def all_stopped(self) -> bool:
        """Whether no task is left to train."""
        return self.schedule.left.keys() >= self.best_weights.objectives.keys()

    def after_epoch(self, epoch: int) -> list[TaskStopped | TrainingStopped]:
        """What stops after an epoch, which has been evaluated; tasks that stop leave the schedule."""
        options, best = self.options, self.best_weights
        if options.patience and best.worse == options.patience:
            return [TrainingStopped("patience", best.worse)]
        if not options.task_patience or epoch == options.epochs:
            return []
        stopped: list[TaskStopped | TrainingStopped] = []
        for name in self._waited(self.schedule.left):
            self.schedule.left[name] = epoch
            stopped.append(TaskStopped(name, epoch, best.tasks[name].rank.score, best.tasks[name].epoch))
        return [*stopped, TrainingStopped("no task left")] if self.all_stopped else stopped

    def _waited(self, left: Collection[str]) -> list[str]:
        waited = self.best_weights.each.items()
        return [name for name, epochs in waited if epochs >= self.options.task_patience and name not in left]
