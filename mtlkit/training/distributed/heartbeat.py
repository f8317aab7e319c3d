"""Notices processes of a training that give no sign of life, even where no connection breaks: a machine that is gone, a process
that hangs."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from torch.distributed import PrefixStore, TCPStore  # type: ignore[attr-defined]

from mtlkit.config.launch import Launch
from mtlkit.errors import LostRankError

PAUSE, SILENCE = 5.0, 45.0  # seconds between two signs of life, and without one until a process counts as lost
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
    """A thread that tells the others of this process, and ends this one with a message when another is silent for too long."""

    def __init__(self, launch: Launch, lost: Callable[[str], None] | None = None) -> None:
        self.launch, self.lost = launch, lost or end_process
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        client = TCPStore(host, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=PAUSE))
        attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        self.store = PrefixStore(f"mtlkit/{attempt}", client)
        self._tell("0")
        self.thread.start()

    def _tell(self, beat: str) -> None:
        self.store.set(str(self.launch.rank), beat)

    def _run(self) -> None:
        size, number = self.launch.size, 0
        pulses = Pulses(size, time.monotonic())
        while not self.ended.wait(PAUSE):
            number += 1
            beats: dict[int, str] = {}
            try:
                self._tell(str(number))
                for rank in range(size):
                    if self.store.check([str(rank)]):
                        beats[rank] = self.store.get(str(rank)).decode()
            except RuntimeError:  # the store does not answer: its machine may be gone
                pass
            if others := [rank for rank in pulses.silent(beats, time.monotonic()) if rank != self.launch.rank]:
                self.lost(f"no sign of life of rank {', '.join(map(str, others))} for {SILENCE:.0f} seconds")
                return

    def end(self) -> None:
        """Stops, so that the others know that this process has ended on purpose."""
        self.ended.set()
        self.thread.join(PAUSE)
        try:
            self._tell(LEFT)
        except RuntimeError:  # the store has ended before
            return


def end_process(reason: str) -> None:
    """Ends this process at once: its main thread may wait for ever for the lost one. Checkpoints stay as they are."""
    os.write(2, f"mtlkit: {reason}; stopped; resume from the last checkpoint with --resume\n".encode())
    os._exit(LostRankError.exit_code)
