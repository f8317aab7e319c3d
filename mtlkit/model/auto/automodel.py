"""The backbone that runs any text model of transformers, for families that mtlkit's own encoder does not have.

Shapes: N texts, L tokens of the longest, T tokens of all texts, D width. Imports transformers only when a model is built.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtlkit.batch import Batch
from mtlkit.config.architecture import Architecture
from mtlkit.config.registries.adapters import ADAPTERS, AdapterSpec
from mtlkit.model.auto.hf_classes import UnknownModel, library_class, library_config, one_line
from mtlkit.model.auto.model_parts import find_parts, without_parts
from mtlkit.model.backbone import Backbone
from mtlkit.model.interop.silence import silence
from mtlkit.model.layers.low_rank import linear_layers, replaced
from mtlkit.model.layouts import GroupedLayout, layout_of
from mtlkit.model.randomness import Dropout, Uninitialised

ENCODER = "encoder."  # prefix of the weights of the stack in T5EncoderModel
SHARED = {"shared.weight": "embed_tokens.weight"}  # what it stores under another name
LEAST_TOKENS, MOST_PADDED = 256, 1.2  # of a part of a batch; tokens with padding, relative to those without
BLOCKS, ABOVE, BELOW = "blocks", "norm", "tokens"  # our modules, by which weights are named


class AutoBackbone(Backbone):
    """A model of transformers, taken apart so that its weights are named as in `Encoder`: its stack of layers is `blocks`, what
    comes after that is in `norm`, and all else is in `tokens`. It is put together again for each batch.

    A batch is padded on the right, whatever the tokenizer does: masked tokens do not count, so a text has the same vector alone
    and in any batch. All dropout is that of its dropout modules, at one rate, as in `Encoder`; what transformers drops elsewhere,
    such as attention weights, is not dropped. `device` is where new weights are, which have no values yet.
    """

    def __init__(self, architecture: Architecture, device: str = "cpu") -> None:
        super().__init__()
        assert architecture.transformers is not None
        self.architecture = architecture
        model = bare_model(architecture.transformers, device)
        own_dropout(model, architecture.dropout)
        parts = find_parts(model)
        self.paths = {parts.stack: BLOCKS} | {path: f"{ABOVE}.{path.replace('.', '_')}" for path in parts.above}
        self.blocks = cast(nn.ModuleList, model.get_submodule(parts.stack))
        self.norm = nn.ModuleDict({name.partition(".")[2]: model.get_submodule(path) for path, name in self._above().items()})
        self.tokens = without_parts(model, self.paths)
        pad = getattr(model.config, "pad_token_id", None)
        self.pad = pad if type(pad) is int and 0 <= pad < architecture.vocab_size else 0
        with torch.device(device), Uninitialised():
            self.add_pooling()

    def _above(self) -> dict[str, str]:
        return {path: name for path, name in self.paths.items() if name != BLOCKS}

    def whole(self) -> nn.Module:
        """The model of transformers, with the modules that this one has now."""
        model: nn.Module = replaced(self.tokens, {path: self.get_submodule(name) for path, name in self.paths.items()})
        return model

    def our_name(self, name: str) -> str:
        """The name here of a weight of the model of transformers."""
        for path, ours in self.paths.items():
            if name.startswith(f"{path}."):
                return f"{ours}{name[len(path) :]}"
        return f"{BELOW}.{name}"

    def encode(self, batch: Batch) -> Tensor:
        """One vector per text, (N, V); of a batch with words, what `read` gives."""
        layout = layout_of(batch)
        assert isinstance(layout, GroupedLayout)
        return self.read(batch, layout, self(layout))

    def forward(self, layout: GroupedLayout) -> Tensor:
        """The last hidden states of all tokens, (T, D)."""
        lengths = np.repeat(*np.array([(length, texts) for texts, length in layout.groups]).T)
        model, states, start = self.whole(), [], 0
        for part in np.split(lengths, rectangles(lengths.tolist())):
            tokens = slice(start, start := start + int(part.sum()))
            types = None if layout.types is None else layout.types[tokens]
            states.append(self._states(model, layout.ids[tokens], layout.positions[tokens], types, part))
        return states[0] if len(states) == 1 else torch.cat(states)

    def _states(
        self, model: nn.Module, ids: Tensor, positions: Tensor, types: Tensor | None, lengths: NDArray[np.int64]
    ) -> Tensor:
        """The last hidden states of texts of these lengths, padded to one rectangle."""
        longest = int(lengths.max())
        rows = torch.from_numpy(np.repeat(np.arange(len(lengths)), lengths)).to(ids.device)
        places, size = rows * longest + positions, len(lengths) * longest

        def padded(values: Tensor, filling: int) -> Tensor:
            rectangle = values.new_full((size,), filling, dtype=torch.long)
            return rectangle.index_copy_(0, places, values.long()).view(-1, longest)

        inputs = {"input_ids": padded(ids, self.pad), "attention_mask": padded(torch.ones_like(ids), 0)}
        if types is not None and self.architecture.token_types > 1:
            inputs["token_type_ids"] = padded(types, 0)
        flat: Tensor = model(**inputs).last_hidden_state.flatten(0, 1)
        return flat if len(ids) == size else flat.index_select(0, places)

    def embeddings(self) -> nn.Module:
        """Everything but the layers and what comes after them."""
        below: nn.Module = self.tokens
        return below


def rectangles(lengths: Sequence[int]) -> list[int]:
    """Where to cut a row of texts into parts, so that little is computed on padding."""
    cuts, tokens, longest, start = [], 0, 0, 0
    for place, length in enumerate(lengths):
        wider = max(longest, length)
        if tokens >= LEAST_TOKENS and (place + 1 - start) * wider > MOST_PADDED * (tokens + length):
            cuts.append(place)
            tokens, wider, start = 0, length, place
        tokens, longest = tokens + length, wider
    return cuts


def bare_model(stored: Mapping[str, Any], device: str = "cpu") -> Any:
    """A model of transformers of this config.json without values for its weights: no dropout outside of modules. Raises
    UnknownModel, UsageError if transformers is not installed."""
    config = library_config(stored)
    for key, value in config.to_dict().items():
        if "drop" in key and isinstance(value, (int, float)) and not isinstance(value, bool):
            setattr(config, key, 0.0)
    config.use_cache = False
    build, options = library_class(config)
    try:
        with silence(), torch.random.fork_rng(devices=[]), torch.device(device), Uninitialised():
            model = unwrapped(build(config, **options))
    except Exception as error:  # whatever its class, the settings do not fit together
        raise UnknownModel(f"transformers cannot build the model ({one_line(error)})") from None
    for module in model.modules():
        module._non_persistent_buffers_set |= {name for name, _ in module.named_buffers(recurse=False)}
    return model


def unwrapped(model: Any) -> Any:
    """The stack of an encoder such as T5EncoderModel, which names its embeddings a second time; any other model itself."""
    return model.encoder if hasattr(model, "shared") and hasattr(model, "encoder") else model


def own_dropout(model: nn.Module, rate: float) -> None:
    """Replaces the dropout modules of a model by ours, which draw from the generator of the training."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, Dropout(rate))


def names_of_weights(architecture: Architecture, adapters: Mapping[str, AdapterSpec]) -> tuple[list[str], list[str]]:
    """The names of the weights of the backbone in a `MultiTaskModel`, and of those of adapters, by task."""
    backbone = AutoBackbone(architecture, "meta")
    added = [
        f"adapters.{task}.{path}.{weight}"
        for task, spec in adapters.items()
        for path in linear_layers(backbone, spec.blocks)
        for weight in ADAPTERS[spec.name].weights
    ]
    return [f"backbone.{name}" for name, _ in backbone.named_parameters()], added


def names_of_stored(architecture: Architecture, stored: Iterable[str]) -> dict[str, str]:
    """The names in a `MultiTaskModel` of weights that transformers stored under these names; others are left out."""
    backbone = AutoBackbone(architecture, "meta")
    own = {name for name, _ in backbone.named_parameters()}
    names: dict[str, str] = {}
    for name in stored:
        candidates = (name, name.removeprefix(ENCODER), SHARED.get(name, name))
        found = [ours for ours in map(backbone.our_name, candidates) if ours in own]
        names |= {name: f"backbone.{found[0]}"} if found else {}
    return names
