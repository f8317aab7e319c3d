"""Where rows come from."""

from mtlkit.data.sources.base import SOURCES, FilesSource, Source, SourceType, existing_split, find_split
from mtlkit.data.sources.files import FileSource, FolderSource, PatternSource
from mtlkit.data.sources.hub_source import HubSource
from mtlkit.data.sources.open import local_paths, open_source, source_types
from mtlkit.data.sources.remote import RemoteSource
from mtlkit.data.sources.samples import sample_source
from mtlkit.data.sources.standard_input import StandardInput

__all__ = [
    "SOURCES",
    "FileSource",
    "FilesSource",
    "FolderSource",
    "HubSource",
    "PatternSource",
    "RemoteSource",
    "Source",
    "SourceType",
    "StandardInput",
    "existing_split",
    "find_split",
    "local_paths",
    "open_source",
    "sample_source",
    "source_types",
]
