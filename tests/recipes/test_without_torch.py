"""An ONNX export runs where only the packages of requirements-onnx.txt are installed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from exports import Export, needs_onnx

from mtlkit.inference.load_model import load

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
TEXTS = ["The cat sleeps near the river.", "", "日本"]
# In one process: a torch that cannot be imported, as if it were not there
SCRIPT = """
import json, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None
import mtlkit
from mtlkit.__main__ import main

export, run, texts = sys.argv[2], sys.argv[3], json.loads(sys.argv[4])

def command(*words):
    sys.argv = ["mtlkit", *words]
    try:
        main()
    except SystemExit as left:
        print(left.code, flush=True)

model = mtlkit.load(export)
print(json.dumps({"vectors": model.embed(texts).tolist(), "predictions": model.predict(texts, reject="auto")}))
command("embed", "--model", export, "--input", "texts.csv", "--output", "vectors.npy")
command("embed", "--similarity", "--model", export, "a", "b")
command("predict", "--model", export, "--reject", "auto", "a text")
command("serve", export, "--port", "0", "--host", "256.1.1.1")
command("info", export)
command("embed", "--model", run, "a text")
command("train-mtl")
"""


def requirements(lines: list[str]) -> dict[str, str]:
    """The packages of requirements, with what is required of them."""
    everywhere = [line for line in lines if line.strip() and line[0] != "#" and "sys_platform" not in line]
    found = [re.match(r"([\w-]+)(\S*)", line.split(";")[0].strip()) for line in everywhere]
    return {one[1]: one[2] for one in found if one}


def listed() -> tuple[dict[str, str], dict[str, str]]:
    """The requirements without torch, and those of the package with its extras `onnx` and `serve`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    own = requirements([*project["dependencies"], *extras["onnx"], *extras["serve"]])
    return requirements((ROOT / "requirements-onnx.txt").read_text(encoding="utf-8").splitlines()), own


def test_the_requirements_are_those_of_the_package() -> None:
    without_torch, own = listed()
    assert without_torch.items() <= own.items()
    assert not {"torch", "datasets", "pyarrow", "scipy"} & set(without_torch)
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "requirements-onnx.txt" in dockerfile
    assert "--no-deps" in dockerfile


@needs_onnx
def test_an_export_runs_without_torch(exported: Export, sources: dict[str, Path], tmp_path: Path) -> None:
    for package in ("fastapi", "uvicorn", "orjson", "prometheus_client"):
        pytest.importorskip(package)
    without_torch, own = listed()
    run, folder = sources["bidirectional"], exported("bidirectional", "onnx").out
    (tmp_path / "texts.csv").write_text("text\n" + "\n".join(f'"{text}"' for text in TEXTS) + "\n", encoding="utf-8")
    blocked = json.dumps(sorted({name.replace("-", "_") for name in own.keys() - without_torch.keys()} | {"transformers"}))
    words = [sys.executable, "-W", "error", "-c", SCRIPT, blocked, str(folder), str(run), json.dumps(TEXTS)]
    environment = {**os.environ, "COLUMNS": "100", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=240, env=environment)
    assert "Traceback" not in done.stderr, done.stderr
    first, *rest = done.stdout.splitlines()
    model, given = load(run), json.loads(first)
    np.testing.assert_allclose(given["vectors"], model.embed(TEXTS), atol=1e-4)
    np.testing.assert_allclose(np.load(tmp_path / "vectors.npy"), model.embed(TEXTS), atol=1e-4)
    for ours, theirs in zip(given["predictions"], model.predict(TEXTS, reject="auto"), strict=True):
        assert {task: one["label"] for task, one in ours.items()} == {task: one["label"] for task, one in theirs.items()}
    assert [line for line in rest if line.isdigit()] == ["0", "0", "0", "2", "0", "2", "2"]
    said = done.stderr
    assert "--host 256.1.1.1" in said
    assert re.search(r"needs torch, which is not installed; .*--format onnx", said)
    assert "pip install torch" in said
