"""A model as an ONNX graph: (N, L) token ids and mask to the vector, the output of every head, and the router's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtlkit.errors import UsageError
from mtlkit.model.interop.silence import silence
from mtlkit.model.layouts import PaddedLayout
from mtlkit.model.multitask import MultiTaskModel

INPUTS = ("input_ids", "attention_mask")
SKIP = "prompt_tokens"  # the third input of a model whose pooling leaves out its prompt
OPSET = 20  # the first with GELU as one operation
LARGEST = 2**31 - 2**20  # bytes of one file of protobuf, less a little for the graph itself


class Graph(nn.Module):
    """A model as other tools call it: a rectangle of texts in; the vector, the output of each head, then the router's out.

    `prompt_tokens`, a number of no dimension, says how many first tokens pooling leaves out.
    """

    def __init__(self, model: MultiTaskModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, prompt_tokens: Tensor | None = None) -> tuple[Tensor, ...]:
        skip = 0 if prompt_tokens is None else prompt_tokens
        vectors = self.model.backbone.encode(PaddedLayout(input_ids, attention_mask, skip))
        readers = [self.model.head(task) for task in self.model.tasks]
        return (vectors, *(reader(vectors) for reader in (*readers, self.model.router) if reader is not None))


def write_graph(model: MultiTaskModel, path: Path, outputs: Sequence[str], *, pools_prompt: bool = True) -> None:
    """Writes the graph with its weights into one file; `outputs` names the vector, then the heads in their order, then the
    router. Without `pools_prompt` it has a third input, SKIP.

    Raises UsageError for a model that one file cannot hold.
    """
    size = sum(weight.numel() * weight.element_size() for weight in model.state_dict().values())
    if size > LARGEST:
        raise UsageError(f"{size / 2**30:.1f} GB of weights do not fit into one ONNX file; its limit is 2 GB")
    texts, tokens = torch.export.Dim("texts"), torch.export.Dim("tokens", max=model.backbone.architecture.max_length)
    example = tuple(torch.ones(2, 3, dtype=torch.long) for _ in INPUTS)  # each its own, or the graph takes them for one
    shapes: tuple[dict[int, Any], ...] = ({0: texts, 1: tokens},) * 2
    names = list(INPUTS)
    if not pools_prompt:
        example, shapes, names = (*example, torch.tensor(1)), (*shapes, {}), [*names, SKIP]
    with silence(), torch.no_grad():
        program = torch.onnx.export(
            Graph(model).eval(),
            example,
            input_names=names,
            output_names=list(outputs),
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        assert program is not None
        for node in program.model.graph.all_nodes():  # where in which file of this machine each operation comes from
            node.metadata_props.clear()
        program.save(path)
