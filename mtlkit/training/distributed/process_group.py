"""The process group of a training that torchrun has started: gloo between CPUs, NCCL between GPUs."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from mtlkit.config.common import Device
from mtlkit.config.launch import Launch
from mtlkit.errors import LostRankError, first_line, shorten
from mtlkit.training.distributed.gradients import sum_buckets
from mtlkit.training.distributed.heartbeat import Heartbeat
from mtlkit.training.distributed.ranks import Ranks

Value = TypeVar("Value")

# a rank may do long work alone, such as saving; one that has died is noticed by its connection or by its missing heartbeat
TIMEOUT = timedelta(hours=6)
PLACE = re.compile(r"^\[[^]]*\] *")  # in the source of gloo or NCCL, at the beginning of their errors
TRAININGS = count()  # of this process
SMALL = 2048  # bytes of a value that ranks exchange in one round


def backend_of(device: Device) -> str:
    """What tensors are exchanged with: NCCL on GPUs, and gloo for all that is on the CPU."""
    on_gpus = device in ("auto", "cuda") and torch.cuda.is_available()
    return "cpu:gloo,cuda:nccl" if on_gpus else "gloo"


class ProcessGroup(Ranks):
    """Several processes, connected by torch.distributed. Raises LostRankError when one of them is gone."""

    def __init__(self, launch: Launch, backend: str) -> None:
        self.rank, self.size = launch.rank, launch.size
        with self._noticed():
            store, _, _ = next(rendezvous("env://", timeout=timedelta(minutes=10)))
            # a script may train several times, and all its trainings meet at one store
            store = PrefixStore(f"training {next(TRAININGS)}", store)
            dist.init_process_group(backend, store=store, rank=self.rank, world_size=self.size, timeout=TIMEOUT)
        self.heartbeat = Heartbeat(launch)
        self.heartbeat.start()

    def agreed(self, value: Value) -> list[Value]:
        payload = pickle.dumps(value)
        own = torch.zeros(SMALL, dtype=torch.uint8)
        own[:8] = torch.tensor([len(payload)]).view(torch.uint8)
        own[8 : 8 + len(payload)] = _bytes(payload[: SMALL - 8])
        rows = torch.empty(self.size, SMALL, dtype=torch.uint8)
        with self._noticed():
            dist.all_gather(list(rows), own)
        lengths = rows[:, :8].clone().view(torch.int64).flatten().tolist()
        if max(lengths) > SMALL - 8:
            rows = self._long(payload, max(lengths))
            return [pickle.loads(row[:length].numpy().tobytes()) for row, length in zip(rows, lengths, strict=True)]
        return [pickle.loads(row[8 : 8 + length].numpy().tobytes()) for row, length in zip(rows, lengths, strict=True)]

    def _long(self, payload: bytes, length: int) -> Tensor:
        """The values of all ranks, of which some are too long for one round: (ranks, length)."""
        own, rows = torch.zeros(length, dtype=torch.uint8), torch.empty(self.size, length, dtype=torch.uint8)
        own[: len(payload)] = _bytes(payload)
        with self._noticed():
            dist.all_gather(list(rows), own)
        return rows

    def in_order(self, own: Sequence[Value]) -> list[Value]:
        lists = self.agreed(list(own))
        return [lists[number % self.size][number // self.size] for number in range(sum(map(len, lists)))]

    def from_main(self, value: Value) -> Value:
        values: list[Any] = [value]
        with self._noticed():
            dist.broadcast_object_list(values, src=0)
        return values[0]  # type: ignore[no-any-return]

    def sum_gradients(self, weights: Mapping[str, nn.Parameter]) -> None:
        trained = list(weights.values())
        present = torch.tensor([weight.grad is not None for weight in trained], dtype=torch.uint8)
        with self._noticed():
            dist.all_reduce(present, op=dist.ReduceOp.MAX)
            used = [weight for weight, is_used in zip(trained, present.tolist(), strict=True) if is_used]
            for weight in used:
                if weight.grad is None:
                    weight.grad = torch.zeros_like(weight)
            sum_buckets([weight.grad for weight in used if weight.grad is not None])

    def sum(self, tensors: Sequence[Tensor]) -> None:
        with self._noticed():
            sum_buckets(tensors)

    def rows_of_all(self, rows: Tensor, counts: Sequence[int]) -> list[Tensor]:
        padded = rows.new_zeros(max(counts), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in counts]
        with self._noticed():
            dist.all_gather(parts, padded)
        return [part[:count] for part, count in zip(parts, counts, strict=True)]

    def leave(self) -> None:
        self.agreed(None)  # rank 0 has saved the run
        self.heartbeat.end()
        dist.destroy_process_group()

    def abandon(self) -> None:
        self.heartbeat.ended.set()

    @contextmanager
    def _noticed(self) -> Iterator[None]:
        """Turns the errors of torch.distributed into ours: they are about lost connections."""
        try:
            yield
        except RuntimeError as error:
            reason = shorten(PLACE.sub("", first_line(error)), 100)
            raise LostRankError(f"the connection to another process of the training was lost ({reason})") from None


def _bytes(payload: bytes) -> Tensor:
    return torch.frombuffer(bytearray(payload), dtype=torch.uint8) if payload else torch.empty(0, dtype=torch.uint8)
