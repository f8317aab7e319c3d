"""The examples of bulk jobs: engines that distribute the work, and job files."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path
from typing import Any

import numpy as np
import pyarrow
import pytest
from pyarrow import parquet

from mtlkit.cli.app import app
from mtlkit.inference.load_model import load

EXAMPLES = Path(__file__).parents[2] / "examples" / "bulk"
ROWS = 600
engines = pytest.mark.filterwarnings("ignore")  # theirs


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six files of rows with ids."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(6):
        ids = list(range(number * 100, number * 100 + 100))
        texts = [f"The cat number {row}{' sleeps' * (row % 7)}" for row in ids]
        parquet.write_table(pyarrow.table({"id": ids, "text": texts}), folder / f"{number}.parquet")
    return folder


def check(source: Path, target: Path, model: Path) -> None:
    """Every id is there once, with the vector that one process gives, bit for bit."""
    rows, got = parquet.read_table(source).sort_by("id"), parquet.read_table(target).sort_by("id")
    assert got["id"].to_pylist() == list(range(ROWS))
    assert got["text"].to_pylist() == rows["text"].to_pylist()
    wanted = load(model).embed(rows["text"].to_pylist())
    assert np.array_equal(np.array(got["vector"].to_pylist(), np.float32), wanted)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Ray cluster of two nodes on this machine."""
    ray = pytest.importorskip("ray", reason="needs ray: pip install 'ray[data]'")
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    cluster.add_node(num_cpus=2)
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


def kill_a_worker(killed: list[int], target: Path) -> None:
    """Kills a process that runs `Embed` once it has a model, and so some rows."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and not killed:
        listed = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout
        for line in listed.splitlines():
            pid, _, arguments = line.strip().partition(" ")
            if re.search(r"ray::.*MapBatches.*(Embed|_MapWorker)|ray::_?MapWorker", arguments):
                time.sleep(2)
                os.kill(int(pid), signal.SIGKILL)
                killed.append(int(pid))
                return
        time.sleep(0.1)


@pytest.mark.slow
@engines
def test_ray_loses_nothing_if_a_worker_is_killed(  # fault 60
    nodes: None, source: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    killed: list[int] = []
    killer = threading.Thread(target=kill_a_worker, args=(killed, tmp_path))
    killer.start()
    run_path(str(EXAMPLES / "with_ray.py"))["embed_files"](str(source), str(tmp_path / "out"), str(runs / "mtl"))
    killer.join()
    assert killed
    check(source, tmp_path / "out", runs / "mtl")


@pytest.mark.slow
@engines
def test_spark_gives_the_vectors_of_one_process(
    source: Path, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = pytest.importorskip("pyspark.sql", reason="needs pyspark")
    if subprocess.run(["which", "java"], capture_output=True, check=False).returncode:
        pytest.skip("needs Java")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    settings = {"spark.ui.enabled": "false", "spark.driver.host": "127.0.0.1", "spark.sql.shuffle.partitions": "2"}
    builder: Any = sql.SparkSession.builder.master("local[2]")
    for name, value in settings.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    try:
        run_path(str(EXAMPLES / "with_spark.py"))["embed_files"](session, str(source), str(tmp_path / "out"), str(runs / "mtl"))
    finally:
        session.stop()
    check(source, tmp_path / "out", runs / "mtl")


OPTIONS = {
    str(command.name): set(command.callback.__annotations__)
    for command in app.registered_commands
    if command.callback is not None
}


def words_of(name: str) -> list[str]:
    """The words of the `mtlkit embed` command of a job file."""
    text = (EXAMPLES / name).read_text()
    if name.endswith("kubernetes.yaml"):
        yaml = pytest.importorskip("yaml")
        container = yaml.safe_load(text)["spec"]["template"]["spec"]["containers"][0]
        return [*container["command"], *container["args"]]
    command = re.search(r"mtlkit embed (?:.*\\\n)*.*", text)
    assert command
    return shlex.split(command[0].replace("\\\n", " "))


@pytest.mark.parametrize("name", ["slurm.sh", "kubernetes.yaml", "skypilot.yaml"])
def test_job_files_use_options_that_exist(name: str) -> None:
    program, command, *arguments = words_of(name)
    assert (program, command) == ("mtlkit", "embed")
    given = {word.partition("=")[0][2:].replace("-", "_") for word in arguments if word.startswith("--")}
    assert {"input", "output", "shard", "resume", "keep"} <= given <= OPTIONS["embed"]


def test_a_slurm_script_passes_the_shell() -> None:
    assert subprocess.run(["bash", "-n", EXAMPLES / "slurm.sh"], check=False).returncode == 0


def test_the_job_of_kubernetes_says_its_count_twice() -> None:
    spec = pytest.importorskip("yaml").safe_load((EXAMPLES / "kubernetes.yaml").read_text())["spec"]
    environment = {item["name"]: item["value"] for item in spec["template"]["spec"]["containers"][0]["env"]}
    assert int(environment["JOB_COMPLETION_COUNT"]) == spec["completions"]
    assert spec["completionMode"] == "Indexed"
