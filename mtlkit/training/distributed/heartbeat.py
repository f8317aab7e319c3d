"""Notices processes of a training that give no sign of life, even where no connection breaks: a machine that is gone, a process
that hangs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from mtlkit.config.launch import Launch
from mtlkit.errors import LostRankError

PAUSE, SILENCE = 5.0, 40.0  # seconds between two signs of life, and without one until a process counts as lost
LEFT = "left"


class Pulses:
    """The signs of life of all processes. `silent` gives those that have been silent for too long."""

    def __init__(self, size: int, now: float, silence: float = SILENCE) -> None:
        self.silence = silence
        self.last = dict.fromkeys(range(size), ("", now))

    def silent(self, beats: dict[int, str], now: float) -> list[int]:
        """The ranks whose beat has not changed for too long, from the beats that were read now (none of a rank: unchanged)."""
        for rank, beat in beats.items():
            if beat != self.last[rank][0]:
                self.last[rank] = (beat, now)
        return [rank for rank, (beat, since) in self.last.items() if beat != LEFT and now - since > self.silence]


class Heartbeat:
    """Tells the others of this process, and ends it with a message when another is silent for too long.

    Signs of life pass through the store at which the processes met. One thread talks to it, and may wait for ever if the machine
    of the store is gone; another watches.
    """

    def __init__(self, launch: Launch, lost: Callable[[str], None] | None = None) -> None:
        self.launch, self.lost = launch, lost or end_process
        self.beats: dict[int, str] = {}
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=run, name="heartbeat", daemon=True) for run in (self._talk, self._watch)]

    def start(self) -> None:
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        client = TCPStore(host, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=PAUSE))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self.store = PrefixStore(f"mtlkit/{attempt}", client)
        self._tell("0")
        for thread in self.threads:
            thread.start()

    def _tell(self, beat: str) -> None:
        self.store.set(str(self.launch.rank), beat)

    def _talk(self) -> None:
        number = 0
        while not self.ended.wait(PAUSE):
            number += 1
            with suppress(RuntimeError):  # the store does not answer
                self._tell(str(number))
                for rank in range(self.launch.size):
                    if self.store.check([str(rank)]):
                        self.beats[rank] = self.store.get(str(rank)).decode()

    def _watch(self) -> None:
        pulses = Pulses(self.launch.size, time.monotonic())
        while not self.ended.wait(PAUSE):
            silent = pulses.silent(dict(self.beats), time.monotonic())
            if others := [rank for rank in silent if rank != self.launch.rank]:
                self.lost(f"no sign of life of rank {', '.join(map(str, others))} for {SILENCE:.0f} seconds")
                return

    def end(self) -> None:
        """Stops, so that the others know that this process has ended on purpose."""
        self.ended.set()
        for thread in self.threads:
            thread.join(PAUSE)
        with suppress(RuntimeError):  # the store has ended before
            self._tell(LEFT)


def end_process(reason: str) -> None:
    """Ends this process at once: its main thread may wait for ever for the lost one. Checkpoints stay as they are."""
    os.write(2, f"mtlkit: {reason}; stopped; resume from the last checkpoint with --resume\n".encode())
    os._exit(LostRankError.exit_code)
