"""Errors of the hub's library as one line with the way on."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from mtlkit.data.sources.hub import is_network_fault, offline_by
from mtlkit.errors import MtlkitError, NetworkError, UsageError, first_line

LOG_IN = "log in with 'hf auth login', or set HF_TOKEN to a token with write access"


@contextmanager
def hub_errors(repository: str) -> Iterator[None]:
    """Raises UsageError or NetworkError in place of what the hub's library raises in the block, and hides its warnings, which are
    about its own code."""
    from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except MtlkitError:
        raise
    except HFValidationError as error:
        raise UsageError(f"--push {repository}: {first_line(error)}") from None
    except LocalTokenNotFoundError:
        raise no_token(repository) from None
    except Exception as error:
        raise _of_answer(error, repository) from None


def _of_answer(error: Exception, repository: str) -> Exception:
    """The error for an answer of the hub, or for none; any other error itself."""
    cause = next((one for one in _causes(error) if getattr(one, "response", None) is not None), error)
    status = getattr(getattr(cause, "response", None), "status_code", None)
    reason = getattr(cause, "server_message", None) or first_line(cause)
    owner = repository.partition("/")[0]
    if status == 401:
        return UsageError(f"--push {repository}: the hub does not accept the token (401); {LOG_IN}")
    if status == 403:
        return UsageError(
            f"--push {repository}: the token may not write there (403); use one with write access to {owner}, or another owner"
        )
    if status == 404:
        return UsageError(f"--push {repository}: there is no user or organization {owner} that the token may write to; {LOG_IN}")
    if status in (409, 412):
        return UsageError(f"--push {repository}: the repository changed in the meantime ({status}); run the command again")
    if status == 429:
        return NetworkError(f"--push {repository}: too many requests (429); run the same command again later")
    if status == 400 or (status is None and "metadata in README.md" in str(error)):
        reason = " ".join(str(reason if status else error).split())
        return UsageError(f"--push {repository}: the hub refuses the files ({reason}); change what --card or other options state")
    if is_network_fault(error) or (isinstance(error, ValueError) and "LFS" in str(error)):
        return NetworkError(f"--push {repository}: {interrupted(first_line(error))}")
    return error


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def interrupted(reason: str) -> str:
    """The end of an error message: the connection failed, and what to do."""
    if name := offline_by():
        return f"{name} is set, which forbids connections; unset it"
    return f"the hub cannot be reached, or the connection broke ({reason}); run the same command again, which completes it"


def no_token(repository: str) -> UsageError:
    """The error for a missing token."""
    return UsageError(f"--push {repository}: there is no Hugging Face token; {LOG_IN}")
