"""The digest by which a run identifies its parent model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from mtlkit.config.small_files import Unreadable, check_file
from mtlkit.model.description import ADAPTER, CONFIG, HEAD_WEIGHTS, HEADS, is_adapter
from mtlkit.model.interop.classifier import transformer_of
from mtlkit.model.interop.dense import DenseModule, dense_files
from mtlkit.model.interop.modules import MODULES, module_folders, read_modules
from mtlkit.model.interop.settings.text_length import SENTENCE_PIECE
from mtlkit.model.interop.weight_files import weight_files
from mtlkit.runs.record import RECORD, TOKENIZER, file_digest

# files in the transformer's folder or above it, besides the weights, that affect the vectors
SETTINGS = (
    MODULES,
    CONFIG,
    TOKENIZER,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "config_sentence_transformers.json",
    HEADS,
    HEAD_WEIGHTS,
)
ADAPTER_FILES = (ADAPTER, "adapter_model.safetensors", HEADS, HEAD_WEIGHTS)
LENGTH_FILES = "sentence_*_config.json"
# The digest of each record that differs from an earlier one only in the model card, mapped to the earlier digest: it is the same
# model, so runs that name the earlier one as their parent still match.
REVISED_CARDS = {
    **dict.fromkeys(
        (
            "d589fec680fec1354b2e51a9d9037af3754c0b7a7a10dd71a9d554635017005e",  # the bundled model
            "fe76ac506afe1dbaf352298015d4a7eb874f5f04247486a206484f4137ad3a78",  # with a card that begins with its use
        ),
        "d26598c8b5912eb2696c7881a1e89e0d5d89bbf9345520e4d63c20f2cf543bf8",
    ),
}


def digest_of(folder: Path) -> str:
    """SHA-256 of a run's record, which contains the digests of all its files; for any other model, of the files that are loaded.

    Raises IntegrityError if weights or modules of the folder cannot be read.
    """
    if (folder / RECORD).is_file():
        digest = file_digest(folder / RECORD)
        return REVISED_CARDS.get(digest, digest)
    files = model_files(folder)
    base = folder / "base"  # of an adapter that mtlkit exported
    if is_adapter(folder) and base.is_dir():
        files = [*files, *model_files(base)]
    return _digest(folder, files)


def is_digest_of(folder: Path, recorded: str) -> bool:
    """Whether a recorded digest matches the folder's current content, in the current format or that of mtlkit up to 0.1, which
    covered every JSON and safetensors file in the folder and its subfolders.
    """
    if digest_of(folder) == recorded:
        return True
    if (folder / RECORD).is_file():
        return False
    everything = sorted(path for kind in ("safetensors", "json") for path in folder.rglob(f"*.{kind}"))
    return all(map(_readable, everything)) and _digest(folder, everything) == recorded


def model_files(folder: Path) -> list[Path]:
    """The files that are loaded from a Hugging Face folder; of an adapter, without those of its base. Raises IntegrityError."""
    if is_adapter(folder):
        return sorted(path for name in ADAPTER_FILES if _readable(path := folder / name))
    inner, dense, pooled = transformer_of(folder), tuple[DenseModule, ...](), list[Path]()
    if inner is None:
        modules = read_modules(folder)
        inner, dense = modules.folder, modules.dense
        pooled = weight_files(modules.layer_pooling) if modules.layer_pooling else []
    configs = (inner_folder / CONFIG for inner_folder in module_folders(folder))
    files = {*weight_files(inner), *dense_files(dense), *pooled, *configs}
    for searched in (folder, inner):
        files |= {searched / name for name in SETTINGS} | set(searched.glob(LENGTH_FILES))
    if not (inner / TOKENIZER).is_file():
        files |= {inner / name for name in SENTENCE_PIECE}
    return sorted(path for path in files if _readable(path))


def _readable(path: Path) -> bool:
    try:
        check_file(path)
    except Unreadable:
        return False
    return True


def _digest(folder: Path, files: Iterable[Path]) -> str:
    names = [f"{path.relative_to(folder)} {file_digest(path)}" for path in files]
    return hashlib.sha256("\n".join(names).encode()).hexdigest()
