"""Settings of a pretrained tokenizer, from the files beside it. Does not import the libraries that build it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

# How transformers 5 builds a tokenizer: from tokenizer.json unchanged, or by the rules of a class
TokenizerKind = Literal["file", "bert", "roberta", "gpt2", "xlm-roberta", "camembert", "mpnet", "albert"]


@dataclass(frozen=True)
class SpecialToken:
    """A token that is matched in the text before tokenization. `normalized` defaults to the opposite of `special`."""

    content: str
    special: bool = True
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool | None = None


@dataclass(frozen=True)
class TokenizerSettings:
    """How a tokenizer is built from the files in `folder`.

    `named` are the tokens with a role (unk_token, ...), `added` other tokens by id, `extra` tokens without an id. With
    `all_added` the added tokens of tokenizer.json are ignored; `lower_first` lowercases before all other steps.
    `named_class` is the class that transformers would use, for messages.
    """

    folder: Path
    kind: TokenizerKind
    named_class: str
    named: Mapping[str, SpecialToken] = field(default_factory=dict)
    added: Mapping[int, SpecialToken] = field(default_factory=dict)
    extra: tuple[SpecialToken, ...] = ()
    all_added: bool = False
    lower_first: bool = False
    do_lower_case: bool = True
    strip_accents: bool | None = None
    tokenize_chinese_chars: bool = True
    keep_accents: bool = False
    add_prefix_space: bool | None = None
