from __future__ import annotations

import os
import subprocess
import sys

import pytest

from mtlkit.__main__ import WAITING

SCRIPT = """
import os, sys
sys.argv = ["mtlkit", "--version"]
from mtlkit.__main__ import main
try:
    main()
except SystemExit:
    assert "torch" not in sys.modules  # which would have loaded OpenMP by now
    print(os.environ.get("OMP_WAIT_POLICY"))
"""


@pytest.mark.parametrize(
    ("chosen", "policy"),
    [
        ({}, "PASSIVE"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE"),
        ({"GOMP_SPINCOUNT": "1000"}, "None"),
        ({"KMP_BLOCKTIME": "200"}, "None"),
    ],
)
def test_threads_wait_idly_unless_the_user_chose_otherwise(chosen: dict[str, str], policy: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in WAITING} | chosen
    command = [sys.executable, "-W", "error", "-c", SCRIPT]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True, env=environment)
    assert process.stdout.splitlines()[-1] == policy
