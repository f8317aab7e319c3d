"""The scopes of the starting model that still hold after a training."""

from __future__ import annotations

from collections.abc import Collection

from mtlkit.errors import listed
from mtlkit.inference.load_weights import read_description
from mtlkit.inference.scope.file import read_scopes
from mtlkit.inference.scope.scope import Scope
from mtlkit.model.description import ModelDescription
from mtlkit.recipes.training.initial_model import InitialModel
from mtlkit.training.events import Note


def scopes_to_keep(
    start: InitialModel, fitted: Collection[str], trained: Collection[str], *, frozen: bool
) -> tuple[dict[str, Scope], list[Note]]:
    """The scopes of the starting model by task, and a note on those that are dropped. `fitted` are the tasks with a scope of this
    training, `trained` its tasks, and `frozen` says whether the backbone was.

    A head that was not trained keeps the scope of the starting model, unless the vectors of texts have changed.
    """
    old = read_scopes(start.origin.path) if start.origin else {}
    untrained = {name: scope for name, scope in old.items() if name in start.model.tasks and name not in {*fitted, *trained}}
    if not untrained or not start.origin or (frozen and same_vectors(start, read_description(start.origin.path))):
        return untrained, []
    heads = listed(f"head:{name}" for name in sorted(untrained))
    reason = "the vectors that texts had are gone, and no data for new ones was given"
    return {}, [Note(f"predict --reject no longer works for {heads}: {reason}; --watch NAME gives some", warning=True)]


def same_vectors(start: InitialModel, before: ModelDescription) -> bool:
    """Whether a frozen backbone gives texts the vectors that it gave them before."""
    attention = start.model.backbone.architecture.attention == before.architecture.attention
    return attention and start.vectors == before.vectors and start.encoder.encoding == before.encoding
