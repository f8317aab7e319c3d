"""What the server needs to know, resolved once from the options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mtlkit.config.commands.serve import ServeOptions
from mtlkit.errors import UsageError
from mtlkit.inference.loaded_model import LoadedModel

KEY_VARIABLE = "MTLKIT_API_KEY"
LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Settings:
    """Limits and defaults of all requests."""

    name: str
    api_key: bytes | None
    dim: int
    normalize: bool
    log_texts: bool
    max_texts: int
    max_bytes: int
    timeout: float
    queue_tokens: int
    batch_tokens: int
    max_connections: int


def resolve(options: ServeOptions, loaded: LoadedModel, environment: Mapping[str, str]) -> Settings:
    """The settings for a model. Raises UsageError."""
    return Settings(
        name=options.name or loaded.path.resolve().name,
        api_key=_api_key(options, environment),
        dim=loaded.output_dim(options.dim),
        normalize=options.normalize,
        log_texts=options.log_texts,
        max_texts=options.max_texts,
        max_bytes=options.max_bytes,
        timeout=options.timeout,
        queue_tokens=options.queue_tokens,
        batch_tokens=options.batch_tokens or loaded.engine.tokens_at_once,
        max_connections=options.max_connections,
    )


def _api_key(options: ServeOptions, environment: Mapping[str, str]) -> bytes | None:
    key, source = options.api_key, "--api-key"
    if key is None:
        key, source = environment.get(KEY_VARIABLE), KEY_VARIABLE
    if key is None:
        return None
    if not key.strip() or not key.isascii() or not key.isprintable():
        raise UsageError(f"{source} is empty or has characters that a header cannot hold; use letters, digits and punctuation")
    return key.encode("ascii")
