"""The prompt of a command: the model's default, another of its prompts by name, or literal text."""

from __future__ import annotations

from collections.abc import Sequence

from mtlkit.config.vector_settings import NO_PROMPT, VectorSettings
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError, suggest

QUERY_PROMPTS, DOCUMENT_PROMPTS = ("query",), ("document", "passage", "corpus")  # names, as in sentence-transformers
MAX_SHOWN = 60  # characters of a prompt in a message


def with_prompt(encoder: TextEncoder, vectors: VectorSettings, name_or_text: str | None) -> TextEncoder:
    """The encoder with a prompt; None is the model's default. Raises UsageError for a prompt that is not UTF-8 or too long."""
    prompt = vectors.prompt(name_or_text)
    prompted = encoder.with_prompt(prompt, pooled=vectors.include_prompt)
    if name_or_text is None or not prompt:
        return prompted
    if any("\ud800" <= character <= "\udfff" for character in prompt):
        raise UsageError(f"--prompt {_quoted(prompt)}: contains bytes that are not UTF-8; type it in UTF-8")
    length, max_length = len(encoder.with_prompt("").encode([prompt]).ids), encoder.encoding.max_length
    if length >= max_length:
        raise UsageError(f"--prompt {_quoted(prompt)}: fills the maximum length of {max_length} tokens; use a shorter prompt")
    return prompted


def role_prompt(vectors: VectorSettings, names: Sequence[str]) -> str | None:
    """The name of the model's prompt for a role such as that of queries; None for its default."""
    return next((name for name in names if name in vectors.prompts), None)


def prompt_note(prompt: str, vectors: VectorSettings, name_or_text: str | None) -> str:
    """One line on the prompt in use; empty if there is none and the model has no default."""
    if not prompt:
        return "prompt: none" if vectors.prompt() else ""
    shown = _quoted(prompt)
    if name_or_text is None:
        return f"prompt: {shown} ({vectors.default_prompt}, the model's default); turn it off with --prompt {NO_PROMPT}"
    if name_or_text in vectors.prompts:
        return f"prompt: {shown} ({name_or_text})"
    return f"prompt: {shown} (literal text){suggest(name_or_text, vectors.prompts)}"


def _quoted(prompt: str) -> str:
    """The prompt in quotes, so that trailing spaces are visible."""
    return repr(prompt if len(prompt) <= MAX_SHOWN else prompt[: MAX_SHOWN - 3] + "...")
