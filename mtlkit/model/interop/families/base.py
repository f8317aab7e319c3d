"""Describes model families and registers them by the `model_type` of their config.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from mtlkit.config.architecture import Architecture
from mtlkit.config.block_options import BlockOptions
from mtlkit.config.registries.registry import Registry
from mtlkit.errors import shorten

Shape = tuple[int, int]
POOLER: Mapping[str, Callable[[Architecture], Shape]] = {"pooler.dense": lambda shape: (shape.dim, shape.dim)}


class UnsupportedSetting(ValueError):
    """A key of a config.json whose value the encoder does not support; `supported` lists what it supports instead."""

    def __init__(self, key: str, value: object, supported: Iterable[object]) -> None:
        super().__init__(f"{key} {shorten(repr(value), 60)} is not supported, only with {' or '.join(map(_shown, supported))}")


def _shown(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


@dataclass(frozen=True)
class Family:
    """A `model_type` of transformers that `Encoder` supports; `name` is the type.

    names           our modules outside the blocks -> theirs
    inner           our modules inside a block -> theirs, relative to `block`
    keys            fields of `Architecture` -> keys of their config.json
    defaults        defaults of their configuration class for keys that config.json omits
    aliases         alternative names of keys; an alias takes precedence if present
    older           names of keys in files of an older class; taken if the key is missing
    activations     names of activations that only this family has
    read_options    the options of its blocks, from a config.json; raises UnsupportedSetting and ValueError
    write_options   its inverse: keys of a config.json
    option_keys     the keys that `read_options` reads
    exported_as     the family that its models are exported as, if another
    dropout         whether training has dropout
    demands         keys and the values required for the weights to mean the same
    qkv             their three projections that we fuse, or their fused one
    expand          their two layers that the MLP's `expand` consists of, that with the activation first; else it is in `inner`
    gate_last       of one layer that holds both, the half with the activation is the last
    token_types     their token type embedding, whose first row is added to our positions, or to tokens where these are rotary
    types           the default number of token types
    untyped         the tokenizer class gives no token types, though the model has them
    shifted         positions start after the padding id
    named_ends      config.json names the tokens [CLS] and [SEP], too, which by default are of a vocabulary of their own
    turned          matrices are stored transposed
    modules         what differs in the names of their class, if transformers renames or splits weights as it loads a file
    pre_norm        layer norms come before attention and MLP
    causal          each token attends only to earlier ones
    native          our own models are exported as this family (one causal, one bidirectional)
    always_widens   a linear layer follows the embeddings, even if these are as wide as hidden states
    unused          their layers that no vector depends on, with the shape of the weight; if a file lacks them, transformers
                    warns and initialises them randomly
    tokenizer       the default tokenizer class, without the suffix "Tokenizer"
    language_model  their class that predicts tokens, and the name of the base in its weights; "" if none is exported
    classifier      the form of the head of their sequence classifier, which reads the first token, and its two linear layers
    head            of their class that predicts tokens, if it has more than an output layer: the linear layer, the norm, and the
                    bias of the output layer, by any of its names
    relative        the family that differs only in its attention, causal or bidirectional, and in names

    Two rates of dropout are written for those who train an export further: that of attention weights, of which ours has none, and
    that of embeddings, where it has a key of its own.
    """

    name: str
    model_class: str
    names: Mapping[str, str]
    inner: Mapping[str, str]
    keys: Mapping[str, str]
    defaults: Mapping[str, Any]
    qkv: tuple[str, ...]
    tokenizer: str
    block: str = "encoder.layer.{}"
    expand: tuple[str, ...] = ()
    gate_last: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    older: Mapping[str, str] = field(default_factory=dict)
    activations: Mapping[str, str] = field(default_factory=dict)
    read_options: Callable[[Mapping[str, Any]], BlockOptions] = lambda _: BlockOptions()
    write_options: Callable[[Architecture], dict[str, Any]] = lambda _: {}
    option_keys: tuple[str, ...] = ()
    exported_as: str = ""
    dropout: bool = True
    demands: Mapping[str, object] = field(default_factory=dict)
    token_types: str | None = None
    types: int = 2
    untyped: bool = False
    shifted: bool = False
    named_ends: bool = False
    turned: bool = False
    modules: Mapping[str, Any] = field(default_factory=dict)
    pre_norm: bool = False
    causal: bool = False
    native: bool = False
    always_widens: bool = False
    unused: Mapping[str, Callable[[Architecture], Shape]] = field(default_factory=dict)
    language_model: tuple[str, str] = ("", "")
    classifier: tuple[str, ...] = ()
    head: tuple[str, ...] = ()
    relative: str = ""
    attention_dropout: str = "attention_probs_dropout_prob"
    embedding_dropout: str = ""

    @property
    def help(self) -> str:
        return f"{self.model_class} of transformers"

    @property
    def in_memory(self) -> Family:
        """The family with the names of modules of the class, which adapters have, in place of those in files."""
        return replace(self, **self.modules)

    def setting(self, config: Mapping[str, Any], key: str) -> Any:
        """The value of a key in a config.json, else the default; null, which the classes reject, counts as missing."""
        for name in (self.aliases.get(key, key), key, self.older.get(key, key)):
            if config.get(name) is not None:
                return config[name]
        return self.defaults[key]

    @property
    def config_keys(self) -> set[str]:
        """All keys of config.json that are read or written by name."""
        older = (*self.older.values(), *self.option_keys)
        rates = {self.attention_dropout, *([self.embedding_dropout] if self.embedding_dropout else [])}
        return {*self.keys.values(), *self.aliases.values(), *self.demands, *self.defaults, *older, *rates}

    @property
    def first_type(self) -> str:
        """Our weight that the first token type is added to."""
        return "positions.weight" if "positions" in self.names else "tokens.weight"


FAMILIES: Registry[Family] = Registry("model family", "mtlkit.model.interop.families")

# Names in transformers' ACT2FN of the activations we support; exports use the first name of each.
ACTIVATION_NAMES = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


def relative_of(name: str | None, *, causal: bool) -> Family | None:
    """The family of this name, or its relative with such attention; None if it is unknown."""
    family = FAMILIES.get(str(name))
    return FAMILIES[family.relative] if family is not None and family.causal is not causal and family.relative else family


def has_causal_head(architecture: Architecture) -> bool:
    """Whether the next token is predicted through a head, as it is in the causal class of the family of these blocks."""
    family = relative_of(architecture.family, causal=True)
    return family is not None and family.causal and bool(family.head)
