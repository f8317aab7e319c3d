"""A model of the Hugging Face hub, or of its local cache, as a folder."""

from __future__ import annotations

from pathlib import Path

from mtlkit.data.sources.hub import hub_answers, is_network_fault, quiet, unreachable
from mtlkit.errors import NetworkError, UsageError, first_line

WANTED = ["*.json", "*.safetensors", "*.txt"]  # pickled weights are left where they are
UNWANTED = ["onnx/*", "openvino/*"]  # other forms of the same weights


def download(name: str) -> Path:
    """The folder of a hub id; what the cache holds whole is not asked for again.

    Raises UsageError for an id that the hub does not have, NetworkError when it cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    quiet()
    offline = not hub_answers()
    try:
        return Path(snapshot_download(name, allow_patterns=WANTED, ignore_patterns=UNWANTED, local_files_only=offline))
    except GatedRepoError:
        raise UsageError(
            f"model {name}: the hub gives it only to those who agreed to its terms; log in with 'hf auth login'"
        ) from None
    except HFValidationError:
        raise UsageError(f"model {name}: no such folder, and not a hub id; write one as OWNER/NAME") from None
    except RepositoryNotFoundError:
        raise UsageError(f"model {name}: no such folder, and the hub has no model of that name") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, ConnectionError, TimeoutError):
        raise NetworkError(f"model {name}: no such folder, and {unreachable('a local folder')}") from None
    except Exception as error:
        if not is_network_fault(error):
            raise
        reason = first_line(error)
        raise NetworkError(f"model {name}: the hub broke off ({reason}); run this again, or give a local folder") from None
