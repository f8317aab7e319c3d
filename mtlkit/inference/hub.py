"""Downloads models from the Hugging Face Hub into its local cache."""

from __future__ import annotations

from pathlib import Path

from mtlkit.data.sources.hub import hub_answers, is_network_fault, quiet, unreachable
from mtlkit.errors import IntegrityError, NetworkError, UsageError, first_line
from mtlkit.runs.record import CARD, read_record

WANTED = ["*.json", "*.safetensors", "*.txt", "*.model"]  # no pickled weights; vocabularies of SentencePiece are *.model
UNWANTED = ["onnx/*", "openvino/*"]  # the same weights in other formats


def download(name: str) -> Path:
    """The local folder of a hub model; files in the cache are not downloaded again.

    Raises UsageError if there is no such model, NetworkError if the hub cannot be reached.
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
        folder = Path(snapshot_download(name, allow_patterns=WANTED, ignore_patterns=UNWANTED, local_files_only=offline))
        if missing := _missing_files(folder):
            snapshot_download(name, allow_patterns=missing, revision=folder.name, local_files_only=offline)
        return folder
    except GatedRepoError:
        raise UsageError(
            f"model {name}: access on the Hugging Face Hub is restricted; request access and log in with 'hf auth login'"
        ) from None
    except HFValidationError:
        raise UsageError(f"model {name}: no such folder, and not a hub id of the form OWNER/NAME") from None
    except RepositoryNotFoundError:
        raise UsageError(f"model {name}: no such folder, and no such model on the Hugging Face Hub") from None
    except (LocalEntryNotFoundError, HfHubHTTPError, ConnectionError, TimeoutError):
        raise NetworkError(f"model {name}: no such folder, and {unreachable('a local folder')}") from None
    except Exception as error:
        if not is_network_fault(error):
            raise
        reason = first_line(error)
        raise NetworkError(f"model {name}: the download failed ({reason}); try again or specify a local folder") from None


def _missing_files(folder: Path) -> list[str]:
    """The files of a run of mtlkit that are of no other model, such as a graph beside no weights."""
    try:
        return [file for file in read_record(folder).files if file != CARD and not (folder / file).exists()]
    except IntegrityError:  # no run, or one that is reported when it is loaded
        return []
