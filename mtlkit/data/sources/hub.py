"""Whether the Hugging Face hub can be reached, and which errors of its libraries say that it could not."""

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
LIBRARIES = ("httpcore", "httpx", "httpx2", "requests", "urllib3", "aiohttp")  # by which the hub's own one may speak
UNREACHABLE = (errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN, errno.EHOSTUNREACH)
SIGNS = ("ConnectionError", "ConnectionsError", "ConnectTimeout", "TimeoutError")  # in names of errors of other libraries


def offline() -> bool:
    """Whether the user wants no connection to the hub, by any of the variables that its libraries obey."""
    return _offline_by() is not None


def _offline_by() -> str | None:
    """The first of these variables that is set."""
    return next((name for name in OFFLINE_NAMES if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE")), None)


def unreachable(local: str, reason: str = "") -> str:
    """Why the hub gave nothing and what to do, as the end of an error: `local` is what to give in its place."""
    if name := _offline_by():
        return f"not in the local cache, and {name} is set; unset it, or give {local}"
    return f"the hub cannot be reached{f' ({reason})' if reason else ''}; give {local}"


def hub_answers() -> bool:
    """Whether the hub may be asked, and answers. Where the user is offline by choice, no connection is attempted."""
    return not offline() and _hub_answers()


@cache
def _hub_answers() -> bool:
    """Whether the hub answers within a few seconds, in whatever words; taken on trust behind a proxy.

    Its own library asks again and again, for minutes, where a connection is made and nothing comes.
    """
    if any(os.environ.get(name) for name in PROXIES):
        return True
    answered = threading.Event()
    threading.Thread(target=_ask, args=(os.environ.get("HF_ENDPOINT", HUB), answered), daemon=True).start()
    return answered.wait(SECONDS)  # a look-up of the name has no limit of its own


def _ask(address: str, answered: threading.Event) -> None:
    parts = urlsplit(address)
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = False, ssl.CERT_NONE  # nothing is told or believed; the library checks for itself
    with suppress(OSError, ValueError, http.client.HTTPException):
        if parts.scheme == "http":
            connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=SECONDS)
        else:
            connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=SECONDS, context=anyone)
        with closing(connection):
            connection.request("HEAD", "/")
            connection.getresponse().close()
            answered.set()


@contextmanager
def local_only() -> Iterator[None]:
    """Within, the hub's libraries read their cache and connect to nothing.

    They ask their environment variables once, at import; a notebook may have imported them long before.
    """
    import datasets.config
    import huggingface_hub.constants

    with ExitStack() as stack:
        for module in (huggingface_hub.constants, datasets.config):
            stack.callback(setattr, module, OFFLINE, getattr(module, OFFLINE))
            setattr(module, OFFLINE, True)
        yield


def quiet() -> None:
    """Keeps the hub's library from telling of every attempt; what comes of it is said by us."""
    from huggingface_hub.utils import logging
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]


def is_network_fault(error: BaseException | None) -> bool:
    """Whether an error, or one that it came from, says that a host could not be found or reached, or stopped in the middle.

    Libraries share no class: what they raise without a response that came is of the network, and so is a server's own fault.
    """
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        status = getattr(getattr(error, "response", None), "status_code", None)
        of_library = type(error).__module__.partition(".")[0] in LIBRARIES
        if _is_unreachable(error) or (of_library and status is None) or (status or 0) >= 500:
            return True
        error = error.__cause__ or error.__context__
    return False


def _is_unreachable(error: BaseException) -> bool:
    """Whether an error says by its own class or number that there is no way to a host."""
    if isinstance(error, (ConnectionError, TimeoutError, socket.gaierror, socket.herror)):
        return True
    if isinstance(error, OSError) and error.errno in UNREACHABLE:
        return True
    return any(kind.__name__.endswith(SIGNS) for kind in type(error).__mro__)
