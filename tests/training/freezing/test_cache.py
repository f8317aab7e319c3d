"""Cached outputs of a frozen backbone equal its outputs, in memory and on disk, and are found by their key."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support import SHAPES, reshaped
from torch import Tensor

from mtlkit.data.datasets.task_data import TaskData
from mtlkit.data.encoded import Encoded
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.freezing import cache as kept
from mtlkit.training.freezing.cache import FeatureCache, cache_hidden_states, cache_vectors
from mtlkit.training.freezing.features import DiskStore, MemoryStore, TokenStore
from mtlkit.training.incidents import FeaturesCached

CPU = Compute(torch.device("cpu"), "fp32")
Keep = Callable[[MultiTaskModel, dict[str, Encoded], Compute, Path | None, int], FeatureCache]


def keep_lower(
    model: MultiTaskModel, encoded: dict[str, Encoded], compute: Compute, place: Path | None, limit: int
) -> FeatureCache:
    return cache_hidden_states(model, encoded, compute, place, limit, depth=1)


KEEPS = {"vectors": cache_vectors, "states": keep_lower}


@pytest.fixture
def texts(tasks: dict[str, TaskData]) -> dict[str, Encoded]:
    return {name: task.train.encoded for name, task in tasks.items()}


def all_of(kept: FeatureCache, texts: dict[str, Encoded]) -> dict[str, Tensor]:
    """The values of each store for all texts, the last first."""
    return {name: store.take(np.arange(len(texts[name]))[::-1].copy()) for name, store in kept.stores.items()}


def files(place: Path) -> set[str]:
    return {path.name for path in place.glob("features/*")}


ALWAYS = {("ours", "vectors"), ("ours", "states"), ("causal", "vectors"), ("post", "states"), ("weighted", "vectors")}


@pytest.mark.parametrize(
    ("shape", "keep"),
    [
        pytest.param(shape, keep, id=f"{shape}-{name}", marks=[] if (shape, name) in ALWAYS else pytest.mark.slow)
        for shape in SHAPES
        for name, keep in KEEPS.items()
    ],
)
def test_files_and_memory_give_what_the_model_gives(
    shape: str, keep: Keep, tiny_model: MultiTaskModel, texts: dict[str, Encoded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = reshaped(tiny_model, shape)
    in_memory, in_one = keep(model, texts, CPU, tmp_path, 2**30), keep(model, texts, CPU, tmp_path / "one", 0)
    monkeypatch.setattr(kept, "PART_BYTES", 4 * 32 * 30)  # several parts
    in_parts = keep(model, texts, CPU, tmp_path / "parts", 0)
    assert not files(tmp_path) - {"one", "parts"}
    for name, each in texts.items():
        rows = np.arange(len(each))[::-1].copy()
        with torch.no_grad():
            alone = [each.batch([row]) for row in rows]
            wanted = torch.cat([model.encode(one) if keep is cache_vectors else model.states(one, 1) for one in alone])
        for made in (in_memory, in_one, in_parts):
            torch.testing.assert_close(made.stores[name].take(rows), wanted, atol=1e-5, rtol=0)


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS)
def test_what_another_training_kept_is_used_and_the_backbone_is_not_run(
    keep: Keep, tiny_model: MultiTaskModel, texts: dict[str, Encoded], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = keep(tiny_model, texts, CPU, tmp_path, 0)
    assert (len(first.files), first.reused, first.texts) == (3, 0, 92)
    monkeypatch.setattr(tiny_model.backbone, "embed", None)  # must not be called again
    with torch.no_grad():
        tiny_model.head("topic").layers[-1].bias.add_(1.0)  # another head
        if keep is keep_lower:
            tiny_model.backbone.blocks[1].expand.bias.add_(1.0)  # and other blocks above
    again = keep(tiny_model, texts, CPU, tmp_path, 0)
    assert (again.files, again.reused) == (first.files, 92)
    for name, wanted in all_of(first, texts).items():
        assert torch.equal(all_of(again, texts)[name], wanted)


def change_weight(model: MultiTaskModel) -> None:
    with torch.no_grad():
        model.backbone.blocks[0].mlp_norm.bias[3] += 1e-3


CHANGES: dict[str, Callable[[MultiTaskModel], None]] = {
    "weight": change_weight,
    "attention": lambda model: model.backbone.attend("causal"),
}


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_another_backbone_finds_nothing(
    change: Callable[[MultiTaskModel], None], keep: Keep, tiny_model: MultiTaskModel, texts: dict[str, Encoded], tmp_path: Path
) -> None:
    keep(tiny_model, texts, CPU, tmp_path, 0)
    change(tiny_model)
    made = keep(tiny_model, texts, CPU, tmp_path, 0)
    assert (made.reused, len(files(tmp_path))) == (0, 6)


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS)
def test_other_tokens_borders_precision_or_kind_find_nothing(
    keep: Keep, tiny_model: MultiTaskModel, text_encoder: TextEncoder, tmp_path: Path
) -> None:
    encoded = text_encoder.encode(["The cat lies near the river.", "A dog."])
    ids, offsets = encoded.ids.copy(), encoded.offsets.copy()
    ids[2] += 1
    offsets[1] -= 1
    changed = [Encoded(ids, encoded.offsets), Encoded(encoded.ids, offsets), encoded.between(0, 1)]
    keep(tiny_model, {"one": encoded}, CPU, tmp_path, 0)
    for count, other in enumerate(changed, 2):
        assert keep(tiny_model, {"one": other}, CPU, tmp_path, 0).reused == 0
        assert len(files(tmp_path)) == count
    rough = keep(tiny_model, {"one": encoded}, replace(CPU, precision="bf16"), tmp_path, 0)
    kind = keep_lower if keep is cache_vectors else cache_vectors
    assert (rough.reused, kind(tiny_model, {"one": encoded}, CPU, tmp_path, 0).reused) == (0, 0)
    assert cache_hidden_states(tiny_model, {"one": encoded}, CPU, tmp_path, 0, depth=2).reused == 0
    assert keep(tiny_model, {"other": encoded}, CPU, tmp_path, 0).reused == 2


def test_what_decides_no_vector_decides_no_key(tiny_model: MultiTaskModel, texts: dict[str, Encoded], tmp_path: Path) -> None:
    cache_vectors(tiny_model, texts, CPU, tmp_path, 0)
    other = deepcopy(tiny_model)
    other.backbone.architecture = replace(other.backbone.architecture, dropout=0.3, family="bert")
    assert cache_vectors(other.train(), texts, CPU, tmp_path, 0).reused == 92
    assert not other.training


def test_the_smallest_tasks_stay_in_memory_as_far_as_it_reaches(
    tiny_model: MultiTaskModel, texts: dict[str, Encoded], tmp_path: Path
) -> None:
    size = 4 * 32
    found = {}
    for limit in (0, 12 * size, 32 * size - 1, 32 * size, 92 * size - 1, 92 * size):
        made = cache_vectors(tiny_model, texts, CPU, tmp_path, limit)
        assert (list(made.stores), made.size) == (["stars", "tags", "topic"], 92 * size)
        found[limit // size] = [name for name, store in made.stores.items() if isinstance(store, MemoryStore)]
        assert len(made.files) == 3 - len(found[limit // size])
    assert found == {0: [], 12: ["stars"], 31: ["stars"], 32: ["stars", "tags"], 91: ["stars", "tags"], 92: [*made.stores]}


def test_without_a_place_all_stays_in_memory(tiny_model: MultiTaskModel, texts: dict[str, Encoded]) -> None:
    made = cache_vectors(tiny_model, texts, CPU, None, 0)
    assert all(isinstance(store, MemoryStore) for store in made.stores.values())
    assert (made.event(92).folder, made.files) == (None, ())


def test_locations_are_reported(tiny_model: MultiTaskModel, texts: dict[str, Encoded], tmp_path: Path) -> None:
    tokens = sum(len(each.ids) for each in texts.values())
    whole = cache_hidden_states(tiny_model, texts, CPU, tmp_path, 0, depth=1)
    assert whole.event(92, 1) == FeaturesCached(92, 4 * 32 * tokens, 1, str(tmp_path))
    assert all(isinstance(store, TokenStore) and isinstance(store.states, DiskStore) for store in whole.stores.values())
    part = cache_hidden_states(tiny_model, texts, CPU, tmp_path, 4 * 32 * len(texts["stars"].ids), depth=1)
    assert part.event(92, 1) == FeaturesCached(92, 4 * 32 * tokens, 1, str(tmp_path), partly=True, reused=part.reused)
    assert cache_hidden_states(tiny_model, texts, CPU, tmp_path, 2**30, depth=1).event(92).folder is None


def test_two_tasks_with_the_same_texts_share_a_file(
    tiny_model: MultiTaskModel, texts: dict[str, Encoded], tmp_path: Path
) -> None:
    made = cache_vectors(tiny_model, {"one": texts["topic"], "two": texts["topic"]}, CPU, tmp_path, 0)
    assert (len(files(tmp_path)), made.reused) == (1, 60)


def test_a_place_that_cannot_be_written_is_named(tiny_model: MultiTaskModel, texts: dict[str, Encoded], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"cannot write 0\.0 MB of cached features to .*file/\.cache"):
        cache_vectors(tiny_model, texts, CPU, tmp_path / "file" / ".cache", 0)


def test_damaged_file_is_computed_again_with_the_same_vectors(
    tiny_model: MultiTaskModel, texts: dict[str, Encoded], compute: Compute, tmp_path: Path
) -> None:
    topic = {"topic": texts["topic"]}
    (path,) = cache_vectors(tiny_model, topic, compute, tmp_path, 0).files
    path.write_bytes(path.read_bytes()[:-5])
    made = cache_vectors(tiny_model, topic, compute, tmp_path, 0)
    assert (made.files, made.reused) == ((path,), 0)
    vectors = encode_all(tiny_model, texts["topic"], compute)
    torch.testing.assert_close(made.stores["topic"].take(np.arange(60)), vectors, atol=1e-5, rtol=0)
