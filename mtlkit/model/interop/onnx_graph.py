"""Exports a model as an ONNX graph: (N, L) token ids and mask in; the vector, the output of each head and of the router out.

Heads that label words give an output for each token. Which tokens are the first ones of words is for the caller to find out, and
to decode their outputs, too: a head with learned transitions has these as a further output, which depends on no input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mtlkit.errors import UsageError
from mtlkit.model.encoder import own_encoder
from mtlkit.model.heads.crf_head import CrfHead
from mtlkit.model.heads.pair_vectors import joined
from mtlkit.model.interop.silence import silence
from mtlkit.model.layouts import PaddedLayout
from mtlkit.model.multitask import MultiTaskModel

INPUTS = ("input_ids", "attention_mask")
TYPES = "token_type_ids"  # input of a model with token types and a head that reads pairs of texts in one sequence
PAIR_INPUTS = ("first", "second")
SKIP = "prompt_tokens"  # input of a model whose pooling excludes the prompt
OPSET = 20  # the first with GELU as one operation
LARGEST = 2**31 - 2**20  # maximum bytes of a protobuf file, minus a margin for the graph itself


class Graph(nn.Module):
    """The model as a module for export: padded texts in. Out: the vector, (N, D), the output of each head that reads one vector,
    (N, outputs), the router's, that of each head that labels words, (N, L, tags), and its transitions if it has some,
    (tags + 1, tags + 1).

    `prompt_tokens`, a 0-d tensor, is the number of first tokens that pooling excludes.
    """

    def __init__(self, model: MultiTaskModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        token_type_ids: Tensor | None = None,
        prompt_tokens: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        skip = 0 if prompt_tokens is None else prompt_tokens
        layout, backbone = PaddedLayout(input_ids, attention_mask, skip, token_type_ids), own_encoder(self.model.backbone)
        states = backbone(layout)
        vectors = backbone.pool(layout, states)
        heads = {task: self.model.head(task) for task in self.model.tasks}
        readers = [head for head in heads.values() if head.spec.reads_vector]
        outputs = (reader(vectors) for reader in (*readers, self.model.router) if reader is not None)
        taggers = [head for head in heads.values() if head.spec.tags is not None]
        tags = (head(states).view(*input_ids.shape, head.spec.outputs) for head in taggers)
        tables = (head.crf.table for head in taggers if isinstance(head, CrfHead))
        return (vectors, *outputs, *tags, *tables)


def write_graph(model: MultiTaskModel, path: Path, outputs: Sequence[str], *, pools_prompt: bool = True) -> None:
    """Writes the graph with its weights to one file. `outputs` names what `Graph` gives, in order. The graph has the input TYPES
    if they matter, and SKIP without `pools_prompt`.

    Raises UsageError if the model exceeds the size limit of one file.
    """
    size = sum(weight.numel() * weight.element_size() for weight in model.state_dict().values())
    if size > LARGEST:
        raise UsageError(f"{size / 2**30:.1f} GB of weights do not fit into one ONNX file; its limit is 2 GB")
    texts, tokens = torch.export.Dim("texts"), torch.export.Dim("tokens", max=model.backbone.architecture.max_length)
    typed = model.backbone.architecture.token_types > 1 and any(spec.joint for spec in model.tasks.values())
    names = (*INPUTS, TYPES) if typed else INPUTS
    example = {name: torch.ones(2, 3, dtype=torch.long) for name in names}  # not one tensor, or the exporter merges the inputs
    shapes: dict[str, dict[int, Any]] = {name: {0: texts, 1: tokens} for name in names}
    if not pools_prompt:
        example, shapes = {**example, SKIP: torch.tensor(1)}, {**shapes, SKIP: {}}
    _export(Graph(model), path, example, shapes, outputs)


class PairGraph(nn.Module):
    """The heads that read pairs as a module for export: the vectors of both texts in, each (N, D); what the heads read,
    (N, 4 D), then the output of each head out."""

    def __init__(self, model: MultiTaskModel) -> None:
        super().__init__()
        self.readers = nn.ModuleList(model.head(task) for task, spec in model.tasks.items() if spec.pair == "vectors")

    def forward(self, first: Tensor, second: Tensor) -> tuple[Tensor, ...]:
        inputs = joined(first, second)
        return (inputs, *(reader(inputs) for reader in self.readers))


def write_pair_graph(model: MultiTaskModel, path: Path, outputs: Sequence[str]) -> None:
    """Writes the graph of the heads that read pairs of vectors. `outputs` names what they read, then the heads in order."""
    example = {name: torch.ones(2, model.vector_dim) for name in PAIR_INPUTS}
    pairs = torch.export.Dim("pairs")
    shapes: dict[str, dict[int, Any]] = {name: {0: pairs} for name in PAIR_INPUTS}
    _export(PairGraph(model), path, example, shapes, outputs)


def _export(
    module: nn.Module,
    path: Path,
    example: Mapping[str, Tensor],
    shapes: Mapping[str, dict[int, Any]],
    outputs: Sequence[str],
) -> None:
    with silence(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            kwargs=dict(example),
            input_names=list(example),
            output_names=list(outputs),
            dynamic_shapes=dict(shapes),
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        assert program is not None
        for node in program.model.graph.all_nodes():  # removes local source paths from the file
            node.metadata_props.clear()
        program.save(path)
