"""config_sentence_transformers.json: prompts, similarity function and other settings for computing and comparing vectors."""

from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

from mtlkit.config.vector_settings import Similarity, VectorSettings
from mtlkit.errors import IntegrityError, listed, suggest
from mtlkit.model.interop.json_files import read_optional
from mtlkit.model.interop.settings.known import SENTENCE_TRANSFORMERS
from mtlkit.model.interop.settings.text_length import TOKENIZER_CONFIG
from mtlkit.runs.record import write_json

SIMILARITIES: tuple[Similarity, ...] = typing.get_args(Similarity)
GENERIC = ("PreTrainedTokenizerFast", "TokenizersBackend")
ALWAYS_THERE = ("query", "document")  # prompts that every model has; empty unless its file sets them


def read_vector_settings(folder: Path, pooling: Path) -> VectorSettings:
    """Reads the vector settings of a folder and its pooling. Raises IntegrityError for unsupported settings."""
    path = folder / SENTENCE_TRANSFORMERS
    config = read_optional(path)
    prompts = config.get("prompts", {})
    if not isinstance(prompts, dict) or not all(text is None or isinstance(text, str) for text in prompts.values()):
        raise IntegrityError(f"{path}: damaged (prompts is not an object of texts)")
    texts = {name: text or "" for name, text in prompts.items()}
    default = config.get("default_prompt_name")
    if default in ALWAYS_THERE and default not in texts:
        texts[default] = ""
    if default is not None and (not isinstance(default, str) or default not in texts):
        known = f"prompts: {listed(texts) or 'none'}{suggest(str(default), texts)}"
        raise IntegrityError(f"{path}: default_prompt_name {default!r} names no prompt; {known}")
    similarity = config.get("similarity_fn_name") or "cosine"
    if similarity not in SIMILARITIES:
        raise IntegrityError(f"{path}: similarity_fn_name {similarity!r} is not supported; supported: {listed(SIMILARITIES)}")
    dim = config.get("truncate_dim")
    if dim is not None and (type(dim) is not int or dim < 1):
        raise IntegrityError(f"{path}: truncate_dim {dim!r} is not supported; supported: a whole number above 0, or null")
    return VectorSettings(texts, default, _includes_prompt(pooling), dim, similarity)


def _includes_prompt(path: Path) -> bool:
    included = read_optional(path).get("include_prompt", True)
    if not isinstance(included, bool):
        raise IntegrityError(f"{path}: damaged (include_prompt is neither true nor false)")
    return included


def check_prompt_end(folder: Path, last: str) -> None:
    """Checks how the pooling of a folder would exclude prompts.

    A tokenizer class without defaults knows only the special tokens that are named. If the `last` token of every text is not
    one of them, sentence-transformers counts it as part of the prompt and excludes one token of the text.

    Raises IntegrityError if the folder's pooling excludes prompts and is affected.
    """
    path = folder / TOKENIZER_CONFIG
    config = read_optional(path)
    if config.get("tokenizer_class") not in GENERIC:
        return
    named: set[str] = set()
    for settings in (read_optional(folder / "special_tokens_map.json"), config):
        for key, value in settings.items():
            for token in value if isinstance(value, list) else [value]:
                text = token.get("content") if isinstance(token, dict) else token
                if isinstance(text, str) and key.endswith(("_token", "special_tokens")):
                    named.add(text)
    if last not in named:
        raise IntegrityError(
            f"{path}: include_prompt false is not supported where no special token is named {last!r}, as here; "
            f'add "sep_token": "{last}"'
        )


def write_vector_settings(folder: Path, vectors: VectorSettings) -> None:
    """Inverse of `read_vector_settings`, except for the settings of the pooling, which are written with the modules."""
    config: dict[str, Any] = {
        "prompts": vectors.prompts,
        "default_prompt_name": vectors.default_prompt,
        "similarity_fn_name": vectors.similarity,
    }
    if vectors.truncate_dim is not None:
        config["truncate_dim"] = vectors.truncate_dim
    write_json(folder / SENTENCE_TRANSFORMERS, config)
