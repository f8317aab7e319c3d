"""The description of a model in a folder of another library."""

from __future__ import annotations

from mtlkit.config.architecture import Architecture, Encoding, Stage, TaskSpec
from mtlkit.errors import IntegrityError
from mtlkit.model.description import CONFIG, ModelDescription
from mtlkit.model.interop.modules import SentenceTransformerModules
from mtlkit.model.interop.settings.tokenizer import literal_special_tokens


def describe(modules: SentenceTransformerModules, architecture: Architecture, tasks: tuple[TaskSpec, ...]) -> ModelDescription:
    """The description of a transformer with these modules around it. Raises IntegrityError if they do not fit together."""
    length = min(modules.max_length or architecture.max_length, architecture.max_length)
    encoding = Encoding(length, modules.truncate, literal_special_tokens(modules.folder))
    stage: Stage = "mtl" if tasks else "sentence"
    try:
        return ModelDescription(stage, architecture, encoding, tasks, vectors=modules.vectors)
    except ValueError as error:
        raise IntegrityError(f"{modules.folder / CONFIG}: damaged ({error})") from None
