"""MLflow: the server of MLFLOW_TRACKING_URI, otherwise files in a folder."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mtlkit.config.registries.trackers import TRACKERS
from mtlkit.config.shell import command_text
from mtlkit.training.trackers.points import FINAL, Point, flat
from mtlkit.training.trackers.services.base import GROUP, Place, State, TrackedRun, TrackerService

ID_TAG = "mtlkit.run"
MOST_METRICS, MOST_PARAMS, LONGEST_PARAM = 1000, 100, 500  # of a request; all versions of MLflow take values of 500 letters
UNNAMEABLE = re.compile(r"[^\w. /-]")  # what names of metrics may not have everywhere
STATES: dict[State, str] = {"finished": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}


class MLflow:
    """A run of an experiment of MLflow, found again by a tag with the training's id."""

    rewinds = False

    def start(self, run: TrackedRun) -> Place:
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")  # what fails is tried again here, with a message
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "15")
        folder = run.folder / "mlruns"
        uri = os.environ.get("MLFLOW_TRACKING_URI")
        if not uri:
            os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # version 3.7 and later want to be asked for files
            folder.mkdir(parents=True, exist_ok=True)
        from mlflow import MlflowClient

        self.client = MlflowClient(uri or folder.resolve().as_uri())
        experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME") or run.project)
        existing = self.client.search_runs([experiment], f"tags.`{ID_TAG}` = '{run.id}'")
        if existing:
            self.run = existing[0].info.run_id
            self.client.update_run(self.run, status="RUNNING")
        else:
            self.run = self.client.create_run(experiment, run_name=run.name, tags={ID_TAG: run.id}).info.run_id
            self._params(run.config)
        self.last = run.after
        if uri:
            address = uri.rstrip("/")
            return Place(f"{address}/#/experiments/{experiment}/runs/{self.run}" if uri.startswith("http") else address)
        words = ["env", "MLFLOW_ALLOW_FILE_STORE=true", "mlflow", "ui", "--backend-store-uri", str(folder)]
        return Place(str(folder), f"look at it with: {command_text(words)}")

    def _experiment(self, name: str) -> str:
        if experiment := self.client.get_experiment_by_name(name):
            return str(experiment.experiment_id)
        return str(self.client.create_experiment(name))

    def _params(self, config: Mapping[str, Any]) -> None:
        """Logs the options. They cannot be changed later, so a resumed run keeps them."""
        from mlflow.entities import Param

        pairs = [(UNNAMEABLE.sub("_", name), str(value)[:LONGEST_PARAM]) for name, value in flat(config)]
        params = [Param(name, value) for name, value in pairs if value]
        for first in range(0, len(params), MOST_PARAMS):
            self.client.log_batch(self.run, params=params[first : first + MOST_PARAMS])

    def log(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, point.step) for point in points for name, value in _named(point.values)]
        for first in range(0, len(metrics), MOST_METRICS):
            self.client.log_batch(self.run, metrics=metrics[first : first + MOST_METRICS])
        self.last = points[-1].step

    def finish(self, state: State, scores: Mapping[str, float]) -> None:
        if scores:
            self.log([Point(self.last, {f"{FINAL}/{name}": value for name, value in scores.items()})])
        self.client.set_terminated(self.run, STATES[state])


def _named(values: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        yield UNNAMEABLE.sub("_", name), value


TRACKERS.add(
    TrackerService(
        name="mlflow",
        help="MLflow's server, or files.",
        group=GROUP,
        rank=4,
        module="mlflow",
        extra="mlflow",
        factory=MLflow,
    )
)
