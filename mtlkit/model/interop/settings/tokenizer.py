"""Reads tokenizer_config.json and related files as transformers 5 and sentence-transformers do.

If transformers 4 differs, version 5 is followed: classes such as BertTokenizer build normalizer and pre-tokenizer from
tokenizer_config.json alone (version 4 modified those of tokenizer.json), and PreTrainedTokenizerFast ignores add_prefix_space.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtlkit.config.from_json import build
from mtlkit.config.tokenizer_settings import SpecialToken, TokenizerKind, TokenizerSettings
from mtlkit.errors import IntegrityError, listed, suggest
from mtlkit.model.description import CONFIG
from mtlkit.model.interop.families.base import FAMILIES
from mtlkit.model.interop.json_files import read_optional
from mtlkit.model.interop.settings.text_length import TOKENIZER_CONFIG, length_settings

SPECIAL_TOKENS, ADDED_TOKENS = "special_tokens_map.json", "added_tokens.json"
ROLES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")
CLASSES: Mapping[str, TokenizerKind] = {  # without the suffix "Tokenizer" or "TokenizerFast"
    "PreTrained": "file",
    "TokenizersBackend": "file",
    "Bert": "bert",
    "DistilBert": "bert",
    "Electra": "bert",
    "MobileBert": "bert",
    "Longformer": "roberta",
    "Roberta": "roberta",
    "Bart": "roberta",
    "GPT2": "gpt2",
    "XLMRoberta": "xlm-roberta",
    "Camembert": "camembert",
    "MPNet": "mpnet",
    "Albert": "albert",
}
BERT_ROLES = {"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}
ROBERTA_ROLES = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "unk_token": "<unk>",
    "sep_token": "</s>",
    "pad_token": "<pad>",
    "cls_token": "<s>",
    "mask_token": "<mask>",
}
DEFAULT_ROLES: Mapping[TokenizerKind, Mapping[str, str]] = {
    "file": {},
    "bert": BERT_ROLES,
    "roberta": ROBERTA_ROLES,
    "xlm-roberta": ROBERTA_ROLES,
    "camembert": ROBERTA_ROLES,
    "albert": {**BERT_ROLES, "bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "<unk>", "pad_token": "<pad>"},
    "mpnet": {**ROBERTA_ROLES, "unk_token": "[UNK]"},
    "gpt2": dict.fromkeys(("unk_token", "bos_token", "eos_token"), "<|endoftext|>"),
}
CAMEMBERT_EXTRA = ("<s>NOTUSED", "</s>NOTUSED", "<unk>NOTUSED")
SWITCHES = ("do_lower_case", "strip_accents", "tokenize_chinese_chars", "keep_accents", "add_prefix_space")


def read_tokenizer_settings(folder: Path, *, bare: bool = False) -> TokenizerSettings:
    """Reads the settings of a transformer's folder; `bare` if it has no files of sentence-transformers. Raises IntegrityError."""
    values = read_optional(folder / TOKENIZER_CONFIG)
    name, kind = _class(folder, values)
    path = folder / TOKENIZER_CONFIG
    if not values.get("extra_special_tokens") and "additional_special_tokens" in values:
        values["extra_special_tokens"] = values.pop("additional_special_tokens")
    all_added = "added_tokens_decoder" in values
    if not all_added:
        values |= _special_tokens(folder, values)
    named = _ordered({**_default_roles(kind), **_named(path, values)})
    extra = values.get("extra_special_tokens", values.get("additional_special_tokens")) or []
    if isinstance(extra, dict):
        named |= {role: _token(path, role, token) for role, token in extra.items()}
        extra = []
    elif kind == "camembert" and not extra:
        extra = list(CAMEMBERT_EXTRA)
    if not isinstance(extra, list):
        raise IntegrityError(f"{path}: damaged (extra_special_tokens is not a list)")
    extra = tuple(_token(path, "extra_special_tokens", token) for token in extra)
    if all_added:
        added = _decoder(path, values["added_tokens_decoder"])
    else:
        added = _added_tokens(folder / ADDED_TOKENS, {token.content for token in (*named.values(), *extra)})
    lower_first = False if bare else _switch(*_lower_first(folder))
    switches = {switch: _switch(path, switch, values[switch]) for switch in SWITCHES if values.get(switch) is not None}
    return TokenizerSettings(folder, kind, name, named, added, extra, all_added, bool(lower_first), **switches)


def literal_special_tokens(folder: Path) -> bool:
    """Whether the original library reads a special token spelled out in a text as plain text. Raises IntegrityError."""
    key = "split_special_tokens"
    return _switch(folder / TOKENIZER_CONFIG, key, read_optional(folder / TOKENIZER_CONFIG).get(key) or False)


def kind_of_tokenizer(folder: Path) -> TokenizerKind:
    """How transformers builds the tokenizer of a folder. Raises IntegrityError."""
    return _class(folder, read_optional(folder / TOKENIZER_CONFIG))[1]


def _class(folder: Path, values: Mapping[str, Any]) -> tuple[str, TokenizerKind]:
    """The class that transformers would use, and how it builds a tokenizer."""
    config = read_optional(folder / CONFIG)
    file_name = TOKENIZER_CONFIG if values.get("tokenizer_class") else CONFIG
    name = values.get("tokenizer_class") or config.get("tokenizer_class")
    family = FAMILIES.get(str(config.get("model_type")))
    name = name or f"{family.tokenizer if family else 'PreTrained'}Tokenizer"
    short = str(name).removesuffix("Fast").removesuffix("Tokenizer")
    if short not in CLASSES:
        known = [f"{known}Tokenizer" for known in CLASSES if known != "TokenizersBackend"]
        raise IntegrityError(
            f"{folder / file_name}: tokenizer_class '{name}' is not supported; "
            f"supported: {listed(known, 20)}{suggest(str(name), known)}"
        )
    return str(name), CLASSES[short]


def _default_roles(kind: TokenizerKind) -> dict[str, SpecialToken]:
    """The default special tokens of a class."""
    names = DEFAULT_ROLES[kind]
    mask_takes_space = kind in ("camembert", "mpnet")
    return {role: SpecialToken(names[role], lstrip=mask_takes_space and role == "mask_token") for role in ROLES if role in names}


def _ordered(named: Mapping[str, SpecialToken]) -> dict[str, SpecialToken]:
    """Sorts tokens in the order in which transformers adds them, which determines the ids of new ones."""
    known = [role for role in ROLES if role in named]
    return {role: named[role] for role in (*known, *(role for role in named if role not in ROLES))}


def _special_tokens(folder: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries of special_tokens_map.json that override tokenizer_config.json."""
    entries = read_optional(folder / SPECIAL_TOKENS)
    for key, token in entries.items():
        if isinstance(token, dict) and key != "extra_special_tokens":
            entries[key] = {**token, "special": True}
        elif key == "extra_special_tokens" and isinstance(token, list):
            before = values.get(key)
            before = before if isinstance(before, list) else []
            entries[key] = [*before, *(added for added in token if added not in before)]
    return entries


def _named(path: Path, values: Mapping[str, Any]) -> dict[str, SpecialToken]:
    """Special tokens by role: the standard roles first, then any other key that ends in _token and has a string value."""
    own = {role: values[role] for role in ROLES if values.get(role) is not None}
    others = {key: token for key, token in values.items() if key.endswith("_token") and key not in ROLES}
    texts = {key: token for key, token in others.items() if isinstance(token, str)}
    models_own = values.get("model_specific_special_tokens") or {}
    if not isinstance(models_own, dict):
        raise IntegrityError(f"{path}: damaged (model_specific_special_tokens is not an object)")
    return {role: _token(path, role, token) for role, token in {**own, **texts, **models_own}.items()}


def _added_tokens(path: Path, special: set[str]) -> dict[int, SpecialToken]:
    tokens = {}
    for content, number in read_optional(path).items():
        if type(number) is not int:
            raise IntegrityError(f"{path}: damaged (the id of {content!r} is not a number)")
        tokens[number] = SpecialToken(content, content in special)
    return tokens


def _decoder(path: Path, value: Any) -> dict[int, SpecialToken]:
    if not isinstance(value, dict) or not all(number.isdecimal() and len(number) < 10 for number in value):
        raise IntegrityError(f"{path}: damaged (added_tokens_decoder is not an object of tokens by id)")
    return {int(number): _token(path, "added_tokens_decoder", token, special=False) for number, token in value.items()}


def _token(path: Path, key: str, value: Any, *, special: bool = True) -> SpecialToken:
    """Parses a token given as a string or an object."""
    if isinstance(value, str):
        return SpecialToken(value)
    try:
        fields = {name: entry for name, entry in value.items() if name not in ("__type", "id")}
        return build(SpecialToken, {"special": special, "normalized": True, **fields})
    except (AttributeError, ValueError) as error:
        raise IntegrityError(f"{path}: damaged ({key}: {error})") from None


def _lower_first(folder: Path) -> tuple[Path, str, Any]:
    path, settings = length_settings(folder)
    return path, "do_lower_case", settings.get("do_lower_case") or False


def _switch(path: Path, key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise IntegrityError(f"{path}: damaged ({key} is neither true nor false)")
    return value
