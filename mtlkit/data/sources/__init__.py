"""Where rows come from."""

from mtlkit.data.sources.base import FilesSource, Source, existing_split, find_split
from mtlkit.data.sources.files import FileSource, FolderSource, PatternSource
from mtlkit.data.sources.hub_source import HubSource
from mtlkit.data.sources.open import local_paths, open_source, sample_source
from mtlkit.data.sources.remote import RemoteSource
from mtlkit.data.sources.standard_input import StandardInput

__all__ = [
    "FileSource",
    "FilesSource",
    "FolderSource",
    "HubSource",
    "PatternSource",
    "RemoteSource",
    "Source",
    "StandardInput",
    "existing_split",
    "find_split",
    "local_paths",
    "open_source",
    "sample_source",
]
