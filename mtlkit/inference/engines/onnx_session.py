"""An ONNX graph in a file, run by onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mtlkit.errors import IntegrityError


class OnnxGraph:
    """The graph of a file. Raises IntegrityError if onnxruntime cannot read or run it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        import onnxruntime

        self.process = os.getpid()
        try:
            self.session: Any = onnxruntime.InferenceSession(self.path, providers=["CPUExecutionProvider"])
        except Exception as error:  # the errors of onnxruntime have no common base class
            raise IntegrityError(f"{self.path}: not a readable ONNX graph ({str(error).splitlines()[0]})") from None
        self.inputs = {tensor.name for tensor in self.session.get_inputs()}
        self.shapes: dict[str, Sequence[Any]] = {output.name: output.shape for output in self.session.get_outputs()}

    def width(self, name: str) -> int:
        """The last dimension of an output. Raises IntegrityError if the graph lacks the output, or the dimension varies."""
        shape = self.shapes.get(name)
        if not shape or not isinstance(shape[-1], int):
            raise IntegrityError(f"{self.path}: output '{name}', which config.json lists, is missing or has no fixed width")
        return shape[-1]

    def of_tokens(self, name: str) -> bool:
        """Whether an output is of tokens, (N, L, width), instead of texts, (N, width)."""
        return len(self.shapes[name]) == 3

    def run(self, names: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """The outputs of these names."""
        if self.process != os.getpid():  # the threads of a session do not survive a fork
            self._open()
        try:
            return dict(zip(names, self.session.run(list(names), dict(inputs)), strict=True))
        except Exception as error:  # as in `_open`
            raise IntegrityError(f"{self.path}: onnxruntime cannot run the graph ({str(error).splitlines()[0]})") from None
