"""Servers as processes, clients that load them, and the soak of serve.py. For Linux."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from importlib import resources
from pathlib import Path
from types import TracebackType

PATH = "/v1/embeddings"
STARTING = 300.0  # seconds
TICKS = os.sysconf("SC_CLK_TCK")
GARBAGE = (
    b"\x16\x03\x01\x00" * 50,
    b"GET /nothing HTTP/1.1\r\n\r\n",
    b"POST " + PATH.encode() + b" HTTP/1.1\r\nContent-Length: 9999\r\n\r\n{",
)


def sample_texts() -> list[str]:
    """The texts of the bundled samples."""
    folder = Path(str(resources.files("mtlkit.data"))) / "sample"
    texts = []
    for path in sorted(folder.glob("*/test.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            texts += [row[0] for row in list(csv.reader(file))[1:]]
    return texts


class ServerProcess:
    """A server on a free port, with the processes that it starts; they end with the block."""

    def __init__(self, name: str, command: list[str]) -> None:
        self.name = name
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.process = subprocess.Popen(
            [*command, str(self.port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        end = time.monotonic() + STARTING
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"{name} does not answer: {' '.join(command)}")
            time.sleep(0.2)

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)

    def cpu_seconds(self) -> float:
        """CPU time so far."""
        fields = (Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in self._processes())
        return sum(int(one[11]) + int(one[12]) for one in fields) / TICKS

    def peak_mib(self) -> float:
        """Peak memory of all processes."""
        return sum(_status(pid, "VmHWM") for pid in self._processes()) / 1024

    def resident_mib(self) -> float:
        return sum(_status(pid, "VmRSS") for pid in self._processes()) / 1024

    def _processes(self) -> list[int]:
        """The server and what it started: the processes of its session."""
        pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [pid for pid in pids if _session(pid) == self.process.pid]

    def _answers(self) -> bool:
        body = json.dumps({"input": "a text", "model": "model"}).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{PATH}", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status == 200 and "embedding" in json.load(answer)["data"][0]
        except (OSError, ValueError):
            return False


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def percentile(values: list[float], share: float) -> float:
    """The value that this share of all is not above."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def load(port: int, clients: int, requests: int, texts: int) -> tuple[float, list[float]]:
    """Sends requests from so many clients at a time; the seconds of all, and of each."""
    found = sample_texts()
    bodies = []
    for number in range(requests):
        chosen = [found[(number * texts + one) % len(found)] for one in range(texts)]
        bodies.append(json.dumps({"input": chosen, "model": "model"}).encode())
    times: list[float] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while bodies:
            body, started = bodies.pop(), time.perf_counter()
            code = await exchange(reader, writer, body)
            times.append(time.perf_counter() - started)
            assert code == 200, code
        writer.close()

    async def run() -> None:
        await asyncio.gather(*(client() for _ in range(clients)))

    started = time.perf_counter()
    asyncio.run(run())
    return time.perf_counter() - started, times


async def exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    """Sends a request and reads its answer; the status."""
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    length = int(answer.partition("content-length:")[2].split()[0])
    await reader.readexactly(length)
    return int(answer.split()[1])


def soak(server: ServerProcess, minutes: int, clients: int = 4) -> None:
    """Prints the requests and the memory of a server every minute, and then its range after the first fifth."""
    sizes, done, began = [], 0, time.monotonic()
    for minute in range(1, minutes + 1):
        while time.monotonic() < began + 60 * minute:
            done += len(load(server.port, clients, 40, 1 + done % 16)[1])
            for content in GARBAGE:
                with socket.create_connection(("127.0.0.1", server.port)) as bad:
                    bad.sendall(content)
            time.sleep(1)
        sizes.append(server.resident_mib())
        print(f"minute {minute}: {done:,} requests, {sizes[-1]:.1f} MiB, {server.cpu_seconds():.0f} CPU seconds", flush=True)
    settled = sizes[len(sizes) // 5 :]
    print(
        f"memory from minute {len(sizes) // 5 + 1} on: {min(settled):.1f} to {max(settled):.1f} MiB, at the end {settled[-1]:.1f}"
    )
