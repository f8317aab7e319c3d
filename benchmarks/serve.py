"""Vectors over HTTP: requests/s, and milliseconds of half, 95 % and 99 % of them, at several numbers of clients.

Higher is better. All servers have the same weights from a Hugging Face folder, and answer POST /v1/embeddings on the loopback; a
request has `--texts` texts of the bundled samples. Each client sends its next request when it has its answer. `st` is
sentence-transformers behind FastAPI (serve_st.py), `litserve` is mtlkit in LitServe with its dynamic batches
(serve_litserve.py).
"by CPU" are requests per second of the server's CPU time, which a busy machine changes least.

With `--soak MINUTES`, only mtlkit serves, to clients of which some send garbage or hang up, and its memory is printed every
minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from compare import PACKAGED, PEAK, Measure, Side, compare, describe, model_folder, names, parser, positive
from serve_load import ServerProcess, load, percentile, soak
from workers import present

SIDES = ("mtlkit", "mtlkit onnx", "st", "litserve", "infinity")
PEERS = {side: Path(__file__).with_name(f"serve_{side}.py") for side in ("st", "litserve")}
NEEDS: dict[str, list[str]] = {
    "mtlkit": [],
    "mtlkit onnx": ["onnxruntime", "onnxscript"],
    "st": ["sentence-transformers", "fastapi", "uvicorn"],
    "litserve": ["litserve"],
    "infinity": [],
}


def command_of(side: str, folder: str, graph: str, infinity: str, *more: str) -> list[str]:
    """The command of a server, without its port."""
    if side.startswith("mtlkit"):
        return [sys.executable, "-m", "mtlkit", "serve", graph if "onnx" in side else folder, "--name", "model", *more, "--port"]
    if side == "infinity":
        names = ["--model-id", folder, "--served-model-name", "model", "--url-prefix", "/v1"]
        return [infinity, "v2", *names, "--engine", "torch", "--device", "cpu", "--no-bettertransformer", "--port"]
    return [sys.executable, str(PEERS[side]), folder]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--model", metavar="DIR|mini", help=f"Hugging Face folder, or mini (default: the one in {PACKAGED})")
    made.add_argument("--sides", type=names, default=list(SIDES[:-1]), help=f"which of {','.join(SIDES)}")
    made.add_argument("--clients", type=names, default=["1", "8", "64"], help="numbers of clients (default: 1,8,64)")
    made.add_argument("--requests", type=positive, default=400, help="requests of a round (default: %(default)s)")
    made.add_argument("--texts", type=positive, default=1, help="texts in a request (default: %(default)s)")
    made.add_argument("--infinity", default="infinity_emb", metavar="FILE", help="the program of infinity")
    made.add_argument("--soak", type=positive, metavar="MINUTES", help="measure the memory of mtlkit instead")
    options = made.parse_args()
    folder = options.model if options.model == "mini" else str(model_folder(options.model and Path(options.model)))
    os.environ |= {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    describe(["torch", "sentence-transformers", "onnxruntime", "fastapi", "uvicorn", "litserve"], options.threads)
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        if options.soak:
            server = stack.enter_context(ServerProcess("mtlkit", command_of("mtlkit", folder, "", "")))
            soak(server, options.soak)
            return
        sides = present(options.sides, NEEDS)
        graph = str(Path(place, "graph"))
        if "mtlkit onnx" in sides:
            export = [sys.executable, "-m", "mtlkit", "export", folder, graph, "--format", "onnx"]
            subprocess.run(export, check=True, stdout=subprocess.DEVNULL)
        servers = [stack.enter_context(ServerProcess(side, command_of(side, folder, graph, options.infinity))) for side in sides]
        for clients in map(int, options.clients):
            print(f"{clients} clients")
            measured = [Side(server.name, partial(measure, server, clients, options)) for server in servers]
            compare(measured[0], measured[1:], options.rounds, "requests/s")


def measure(server: ServerProcess, clients: int, options: Namespace) -> Measure:
    """A round of one server."""
    requests, texts = options.requests, options.texts
    load(server.port, clients, max(8, requests // 10), texts)  # not counted: what a server does at its first requests
    before = server.cpu_seconds()
    seconds, times = load(server.port, clients, requests, texts)
    used = server.cpu_seconds() - before
    shown = {f"p{share}_ms": 1000 * percentile(times, share / 100) for share in (50, 95, 99)}
    return Measure(requests / seconds, requests / max(used, 0.01), {**shown, PEAK: server.peak_mib()})


if __name__ == "__main__":
    main()
