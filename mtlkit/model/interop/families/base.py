"""Describes model families and registers them by the `model_type` of their config.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mtlkit.config.architecture import Architecture
from mtlkit.config.registries.registry import Registry

Shape = tuple[int, int]
POOLER: Mapping[str, Callable[[Architecture], Shape]] = {"pooler.dense": lambda shape: (shape.dim, shape.dim)}


@dataclass(frozen=True)
class Family:
    """A `model_type` of transformers that `Encoder` supports; `name` is the type.

    names           our modules outside the blocks -> theirs
    inner           our modules inside a block -> theirs, relative to `block`
    keys            fields of `Architecture` -> keys of their config.json
    defaults        defaults of their configuration class for keys that config.json omits
    aliases         alternative names of keys; an alias takes precedence if present
    demands         keys and the values required for the weights to mean the same
    qkv             their three projections that we fuse, or their fused one
    token_types     their token type embedding, whose first row is added to our positions
    shifted         positions start after the padding id
    turned          matrices are stored transposed
    pre_norm        layer norms come before attention and MLP
    causal          each token attends only to earlier ones
    native          our own models are exported as this family (one causal, one bidirectional)
    unused          their layers that no vector depends on, with the shape of the weight; if a file lacks them, transformers
                    warns and initialises them randomly
    tokenizer       the default tokenizer class, without the suffix "Tokenizer"
    language_model  their class with an output layer, and the name of the base in its weights; "" if there is none
    classifier      the form of the head of their sequence classifier, which reads the first token, and its two linear layers

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
    aliases: Mapping[str, str] = field(default_factory=dict)
    demands: Mapping[str, object] = field(default_factory=dict)
    token_types: str | None = None
    shifted: bool = False
    turned: bool = False
    pre_norm: bool = False
    causal: bool = False
    native: bool = False
    unused: Mapping[str, Callable[[Architecture], Shape]] = field(default_factory=dict)
    language_model: tuple[str, str] = ("", "")
    classifier: tuple[str, ...] = ()
    attention_dropout: str = "attention_probs_dropout_prob"
    embedding_dropout: str = ""

    @property
    def help(self) -> str:
        return f"{self.model_class} of transformers"

    def setting(self, config: Mapping[str, Any], key: str) -> Any:
        """The value of a key in a config.json, else the default; null, which the classes reject, counts as missing."""
        for name in (self.aliases.get(key, key), key):
            if config.get(name) is not None:
                return config[name]
        return self.defaults[key]

    @property
    def config_keys(self) -> set[str]:
        """All keys of config.json that are read or written by name."""
        return {*self.keys.values(), *self.aliases.values(), *self.demands, *self.defaults}


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
