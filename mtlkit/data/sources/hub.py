"""Checks whether the Hugging Face hub can be reached, and recognizes network errors of its libraries."""

from __future__ import annotations

import errno
import http.client
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import cache
from urllib.parse import urlsplit

OFFLINE = "HF_HUB_OFFLINE"
OFFLINE_NAMES = (OFFLINE, "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")
HUB, SECONDS = "https://huggingface.co", 3.0
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
LIBRARIES = ("httpcore", "httpx", "httpx2", "requests", "urllib3", "aiohttp")  # HTTP clients that huggingface_hub may use
UNREACHABLE = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH)
ERROR_SUFFIXES = ("ConnectionError", "ConnectionsError", "ConnectTimeout", "TimeoutError")  # of exception classes of libraries


def offline() -> bool:
    """Whether an environment variable of the hub's libraries turns connections off."""
    return offline_by() is not None


def offline_by() -> str | None:
    """The first such environment variable that is set."""
    return next((name for name in OFFLINE_NAMES if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")), None)


def unreachable(local: str, reason: str = "") -> str:
    """The end of an error message: why the hub could not be used, and to give `local` instead."""
    if name := offline_by():
        return f"not in the local cache, and {name} is set; unset it, or give {local}"
    return f"the hub cannot be reached{f' ({reason})' if reason else ''}; give {local}"


def hub_answers() -> bool:
    """Whether the hub responds; makes no connection if the user is offline by choice."""
    return not offline() and _hub_answers()


@cache
def _hub_answers() -> bool:
    """Whether the hub sends any response within a few seconds; assumed to be true behind a proxy.

    The hub's own library retries for minutes if it connects and gets no response.
    """
    if any(os.environ.get(name) for name in PROXIES):
        return True
    answered = threading.Event()
    threading.Thread(target=_send_request, args=(os.environ.get("HF_ENDPOINT", HUB), answered), daemon=True).start()
    return answered.wait(SECONDS)  # looking up the host name has no timeout of its own


def _send_request(address: str, answered: threading.Event) -> None:
    parts = urlsplit(address)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # no data is exchanged; the library verifies for itself
    with suppress(OSError, ValueError, http.client.HTTPException):
        if parts.scheme == "http":
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
        else:
            connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=SECONDS, context=context)
        with closing(connection):
            connection.request("HEAD", "/")
            connection.getresponse().close()
            answered.set()


@contextmanager
def local_only() -> Iterator[None]:
    """Makes the hub's libraries use only their cache.

    They read their environment variables at import, which may have happened long before.
    """
    import datasets.config
    import huggingface_hub.constants

    with ExitStack() as stack:
        for module in (huggingface_hub.constants, datasets.config):
            stack.callback(setattr, module, OFFLINE, getattr(module, OFFLINE))
            setattr(module, OFFLINE, True)
        yield


def quiet() -> None:
    """Turns off the progress bars and warnings of the hub's library; mtlkit reports the result itself."""
    from huggingface_hub.utils import logging
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def is_network_fault(error: BaseException | None) -> bool:
    """Whether an error or one of its causes means that a host was not found, not reachable, or closed the connection.

    The libraries share no base class: an error without a response is a network error, and so is a response of 500 or more.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        status = getattr(getattr(error, "response", None), "status_code", None)
        from_http_client = type(error).__module__.partition(".")[0] in LIBRARIES
        if _is_unreachable(error) or (from_http_client and status is None) or (status or 0) >= 500:
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_unreachable(error: BaseException) -> bool:
    """Whether the class or errno of an error means that a host cannot be reached."""
    if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror, socket.herror)):
        return True
    if isinstance(error, OSError) and error.errno in UNREACHABLE:
        return True
    return any(kind.__name__.endswith(ERROR_SUFFIXES) for kind in type(error).__mro__)
