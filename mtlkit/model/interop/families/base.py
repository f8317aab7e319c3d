"""What describes a family of models, and the families by the `model_type` of their config.json."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mtlkit.config.architecture import Architecture
from mtlkit.config.registry import Registry

Shape = tuple[int, int]
POOLER: Mapping[str, Callable[[Architecture], Shape]] = {"pooler.dense": lambda shape: (shape.dim, shape.dim)}


@dataclass(frozen=True)
class Family:
    """A `model_type` of transformers that our encoder can hold; `name` is that type.

    names           our modules outside the blocks -> theirs
    inner           our modules inside a block -> theirs, which are below `block`
    keys            fields of `Architecture` -> keys of their config.json
    defaults        what their configuration class takes where config.json leaves a key out
    aliases         the second name that this class knows some keys by; where it is there, it counts
    demands         keys and the values that they must have for the weights to mean the same
    qkv             their three projections that we fuse, or the one that they fuse, too
    token_types     their embedding of token types, whose first row we add to the positions
    shifted         positions begin after the pad id
    turned          matrices are stored transposed
    pre_norm        layer norms come before attention and MLP
    causal          a token sees what came before
    native          our own models are exported as this family (one that is causal, one that is not)
    unused          their layers that no vector comes from, with the shape of the weight; without them in a file, transformers
                    warns and fills in random numbers
    tokenizer       the tokenizer class where no file names one, without "Tokenizer" at the end
    language_model  their class with an output layer, and the name of the base in its weights; "" where there is none
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

    @property
    def help(self) -> str:
        return f"{self.model_class} of transformers"

    def setting(self, config: Mapping[str, Any], key: str) -> Any:
        """What a config.json says of a key, else the default; null, which the classes refuse, counts as left out."""
        for name in (self.aliases.get(key, key), key):
            if config.get(name) is not None:
                return config[name]
        return self.defaults[key]

    @property
    def config_keys(self) -> set[str]:
        """All keys of config.json that are read or written by name."""
        return {*self.keys.values(), *self.aliases.values(), *self.demands, *self.defaults}


FAMILIES: Registry[Family] = Registry("model family", "mtlkit.model.interop.families")

# Each name of transformers' ACT2FN that is one of ours; the first of several is the one that exports have.
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
