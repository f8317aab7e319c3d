"""The prompt of a command: the model's own, another of its prompts by name, or a text."""

from __future__ import annotations

from mtlkit.config.vector_settings import NO_PROMPT, VectorSettings
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError, suggest

SHOWN = 60  # letters of a prompt in a message


def with_prompt(encoder: TextEncoder, vectors: VectorSettings, asked: str | None) -> TextEncoder:
    """The encoder with the prompt asked for; None asks for the model's default. Raises UsageError for one that cannot be read,
    or that leaves no room for a text."""
    prompt = vectors.prompt(asked)
    made = encoder.with_prompt(prompt, pooled=vectors.include_prompt)
    if asked is None or not prompt:
        return made
    if any("\ud800" <= letter <= "\udfff" for letter in prompt):
        raise UsageError(f"--prompt {_shown(prompt)}: holds bytes that are not UTF-8; type it in UTF-8")
    length, most = len(encoder.with_prompt("").encode([prompt]).ids), encoder.encoding.max_length
    if length >= most:
        raise UsageError(f"--prompt {_shown(prompt)}: leaves no room for a text of {most} tokens; give a shorter one")
    return made


def prompt_note(prompt: str, vectors: VectorSettings, asked: str | None) -> str:
    """One line on the prompt that is in force; empty where there is none and none was expected."""
    if not prompt:
        return "prompt: none" if vectors.prompt() else ""
    shown = _shown(prompt)
    if asked is None:
        return f"prompt: {shown} ({vectors.default_prompt}, the model's default); --prompt {NO_PROMPT} turns it off"
    if asked in vectors.prompts:
        return f"prompt: {shown} ({asked})"
    return f"prompt: {shown} (literal text){suggest(asked, vectors.prompts)}"


def _shown(prompt: str) -> str:
    """In quotes, so that blanks at its end are seen."""
    return repr(prompt if len(prompt) <= SHOWN else prompt[: SHOWN - 3] + "...")
