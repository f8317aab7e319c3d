"""Tasks that label words, in training: every source of vectors gives the losses of each word alone."""

from __future__ import annotations

import io
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import ANIMALS, SENTENCES, TOOLS
from cutting import Keeper, assert_same_end, assert_same_weights, timeless
from support import losses_of
from torch.nn import functional

from mtlkit.batch import CUT, TEXT, WINDOW
from mtlkit.config.architecture import TaskSpec, Transitions
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.task_data import TaskData, prepare_task
from mtlkit.data.encoded import EncodedWords
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.inference.encoding import encode_all
from mtlkit.model.heads.crf_head import CrfHead
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.continual.fisher import add_fisher
from mtlkit.training.continual.guards import GuardContext
from mtlkit.training.continual.lwf import LwF
from mtlkit.training.freezing.cache import cache_hidden_states, cache_vectors
from mtlkit.training.freezing.features import CachedVectors, UpperBackbone, WholeBackbone
from mtlkit.training.gradient_cache import GradientCache
from mtlkit.training.objectives.base import HeadObjective, head_objectives
from mtlkit.training.phases import joined as given_back
from mtlkit.training.rng import RandomState
from mtlkit.training.task_losses import TaskLosses

TAGS = ("O", "B-animal", "I-animal", "B-tool", "I-tool")
LONG = " ".join(SENTENCES[place] for place in (3, 44, 9, 61, 20, 70))
TEXTS = [SENTENCES[0], "dog", LONG, SENTENCES[50], SENTENCES[7]]
ROWS = np.array([2, 4, 1])


def tagged(texts: list[str]) -> LabelledTable:
    """Texts whose words are separated by blanks, with a tag for animals and tools."""
    words, labels = [], []
    for text in texts:
        own = text.split()
        starts = np.cumsum([0, *(len(word) + 1 for word in own)])[:-1]
        words.append(np.stack([starts, starts + [len(word) for word in own]], 1))
        kinds = ("B-animal" if word in ANIMALS else "B-tool" if word in TOOLS else "O" for word in own)
        labels.append(tuple(kinds))
    return LabelledTable(texts, labels, words=words)  # type: ignore[arg-type]


@pytest.fixture
def word_tasks(tiny_model: MultiTaskModel, text_encoder: TextEncoder, tasks: dict[str, TaskData]) -> dict[str, TaskData]:
    """`things`: the words of five texts, one of which needs several windows; and `topic`, of texts."""
    spec = TaskSpec("things", "tokens", TAGS, tags="bio")
    tiny_model.add_task(spec)
    tiny_model.eval()
    table = tagged(TEXTS)
    task = prepare_task(spec, "tests", table, table.select(np.arange(2)), text_encoder.with_encoding(max_length=24))
    assert isinstance(task.train.encoded, EncodedWords)
    assert len(task.train.encoded) > len(TEXTS)
    return {"things": task, "topic": tasks["topic"]}


def test_each_word_meets_its_own_state_and_tag(tiny_model: MultiTaskModel, word_tasks: dict[str, TaskData]) -> None:
    head, train = tiny_model.head("things"), word_tasks["things"].train
    encoded = train.encoded
    assert isinstance(encoded, EncodedWords)
    losses = []
    for window in ROWS:
        alone = encoded.batch([window])
        states = tiny_model.backbone(replace(alone, words=None))
        for word in encoded.vectors_of(np.array([window])):
            state = states[encoded.first[word] - encoded.offsets[window]]
            losses.append(functional.cross_entropy(head(state), torch.tensor(int(train.labels[word, 0]))))
    loss = losses_of(tiny_model, head_objectives(tiny_model, word_tasks))({"things": ROWS})["things"]
    torch.testing.assert_close(loss, torch.stack(losses).mean(), atol=1e-5, rtol=1e-5)


def test_all_words_of_a_long_text_are_read_once(word_tasks: dict[str, TaskData]) -> None:
    train = word_tasks["things"].train
    assert len(train.labels) == sum(len(text.split()) for text in TEXTS)
    assert sorted(train.encoded.vectors_of(np.arange(len(train)))) == list(range(len(train.labels)))
    marks = train.labels[:, 1]
    assert (marks & TEXT > 0).sum() == len(TEXTS)
    assert (marks & WINDOW > 0).sum() == (marks & CUT > 0).sum() == len(train.encoded) - len(TEXTS)
    assert np.array_equal(np.flatnonzero(marks & CUT) + 1, np.flatnonzero(marks & WINDOW))


def test_the_backbone_runs_once_for_texts_and_words(
    tiny_model: MultiTaskModel, word_tasks: dict[str, TaskData], compute: Compute, monkeypatch: pytest.MonkeyPatch
) -> None:
    objectives = head_objectives(tiny_model, word_tasks)
    piece = {"topic": np.array([40, 3]), "things": ROWS}
    apart = {name: losses_of(tiny_model, objectives)({name: rows})[name] for name, rows in piece.items()}
    calls = []
    upper = tiny_model.backbone.upper
    monkeypatch.setattr(tiny_model.backbone, "upper", lambda *arguments: (calls.append(1), upper(*arguments))[1])
    together = TaskLosses(objectives, WholeBackbone(tiny_model, objectives, compute.device))(piece)
    assert len(calls) == 1
    for name, loss in apart.items():
        torch.testing.assert_close(together[name], loss, atol=1e-6, rtol=1e-5)


def test_cached_words_states_and_micro_batches_give_the_losses_of_the_backbone(
    tiny_model: MultiTaskModel, word_tasks: dict[str, TaskData], compute: Compute
) -> None:
    objectives = head_objectives(tiny_model, word_tasks)
    piece = {"things": ROWS, "topic": np.array([40, 3])}
    whole = losses_of(tiny_model, objectives)(piece)
    encoded = {name: task.train.encoded for name, task in word_tasks.items()}
    cache = cache_vectors(tiny_model, encoded, compute, None, 2**20)
    below = cache_hidden_states(tiny_model, encoded, compute, None, 2**20, 1)
    in_parts = WholeBackbone(tiny_model, objectives, compute.device)
    for source in (
        CachedVectors(cache.stores, objectives),
        UpperBackbone(tiny_model, objectives, compute.device, below.stores, 1),
        GradientCache(in_parts, RandomState(tiny_model, compute.device, 0), 24),
    ):
        for name, loss in TaskLosses(objectives, source)(piece).items():
            torch.testing.assert_close(loss, whole[name], atol=1e-6, rtol=1e-5)
    every = CachedVectors(cache.stores, objectives).all_of("things")
    torch.testing.assert_close(every, encode_all(tiny_model, encoded["things"], compute))
    assert len(every) == len(word_tasks["things"].train.labels)


def test_words_on_disk_are_keyed_by_their_places(
    tiny_model: MultiTaskModel, word_tasks: dict[str, TaskData], compute: Compute, tmp_path: Path
) -> None:
    encoded = word_tasks["things"].train.encoded
    assert isinstance(encoded, EncodedWords)
    first = cache_vectors(tiny_model, {"things": encoded}, compute, tmp_path, 0)
    other = replace(encoded, first=np.maximum(encoded.first - 1, 0))
    moved = cache_vectors(tiny_model, {"things": other}, compute, tmp_path, 0)
    assert (first.reused, moved.reused) == (0, 0)
    assert cache_vectors(tiny_model, {"things": encoded}, compute, tmp_path, 0).reused == len(encoded)
    assert not torch.equal(first.stores["things"].take(np.arange(3)), moved.stores["things"].take(np.arange(3)))


def test_lwf_keeps_old_heads_of_words_on_words_only(
    tiny_model: MultiTaskModel, word_tasks: dict[str, TaskData], compute: Compute
) -> None:
    tiny_model.add_task(TaskSpec("old", "tokens", ("NOUN", "VERB"), tags="plain"))
    tiny_model.eval()
    words = head_objectives(tiny_model, {"things": word_tasks["things"]})
    texts = head_objectives(tiny_model, {"topic": word_tasks["topic"]})
    with pytest.raises(UsageError, match="'old' labels words"):
        LwF(GuardContext(tiny_model, frozenset(), texts, {}, frozenset(["old"]), compute, 0))
    guard = LwF(GuardContext(tiny_model, frozenset(), words, {}, frozenset(["old"]), compute, 0))
    source = WholeBackbone(tiny_model, words, compute.device)
    assert float(guard.loss(source({"things": ROWS}), {"things": ROWS}).detach()) == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        tiny_model.backbone.tokens.weight += 0.2 * torch.randn(tiny_model.backbone.tokens.weight.shape)
    assert float(guard.loss(source({"things": ROWS}), {"things": ROWS}).detach()) > 1e-5


def test_lwf_keeps_old_heads_of_words_and_of_texts_on_tasks_like_theirs(
    tiny_model: MultiTaskModel, word_tasks: dict[str, TaskData], compute: Compute
) -> None:
    tiny_model.add_task(TaskSpec("old", "tokens", ("NOUN", "VERB"), tags="plain"))
    tiny_model.eval()
    objectives = head_objectives(tiny_model, word_tasks)
    known = frozenset(["old", "tags", "stars"])  # `stars` and `tags` read texts
    guard = LwF(GuardContext(tiny_model, frozenset(), objectives, {}, known, compute, 0))
    assert {name: set(heads) for name, heads in guard.initial.items()} == {"things": {"old"}, "topic": {"tags", "stars"}}
    source = WholeBackbone(tiny_model, objectives, compute.device)
    piece = {"things": ROWS, "topic": np.array([40, 3])}
    assert float(guard.loss(source(piece), piece).detach()) == pytest.approx(0.0, abs=1e-6)
    with torch.no_grad():
        tiny_model.backbone.tokens.weight += 0.2 * torch.randn(tiny_model.backbone.tokens.weight.shape)
    apart = [float(guard.loss(source({name: rows}), {name: rows}).detach()) for name, rows in piece.items()]
    assert min(apart) > 1e-5
    assert float(guard.loss(source(piece), piece).detach()) == pytest.approx(sum(apart), rel=1e-4)
    texts = {"topic": objectives["topic"]}
    with pytest.raises(UsageError, match="head 'old' labels words"):
        LwF(GuardContext(tiny_model, frozenset(), texts, {}, known, compute, 0))


def test_fisher_information_of_words_reaches_the_backbone(
    tiny_model: MultiTaskModel, word_tasks: dict[str, TaskData], compute: Compute
) -> None:
    weights = dict(tiny_model.backbone.named_parameters())
    importance = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    add_fisher(importance, weights, HeadObjective(tiny_model, word_tasks["things"]), compute, 0)
    assert all(float(values.max()) > 0 for name, values in importance.items() if name.endswith("mlp_norm.weight"))


def test_words_that_were_held_out_are_given_back(word_tasks: dict[str, TaskData], tiny_model: MultiTaskModel) -> None:
    task = word_tasks["things"]
    whole = given_back(task.train, task.validation)
    assert len(whole) == len(task.train) + 2
    objectives = head_objectives(tiny_model, {"things": replace(task, train=whole)})
    rows = len(task.train) + np.arange(2)
    again, known = (losses_of(tiny_model, objectives)({"things": own})["things"] for own in (rows, np.arange(2)))
    torch.testing.assert_close(again, known)


def test_tags_with_learned_transitions_are_read_and_trained_together(
    tiny_model: MultiTaskModel, word_tasks: dict[str, TaskData], text_encoder: TextEncoder
) -> None:
    spec = TaskSpec("things", "tokens", TAGS, tags="bio", transitions="learned")
    table = tagged(TEXTS)
    task = prepare_task(spec, "tests", table, table, text_encoder.with_encoding(max_length=24))
    torch.manual_seed(0)
    tiny_model.add_task(spec)
    tiny_model.eval()
    objective = HeadObjective(tiny_model, task)
    states = encode_all(tiny_model, task.validation.encoded, Compute(torch.device("cpu"), "fp32"))
    plain = objective.evaluate(states)
    head = tiny_model.head("things")
    before = {name: weight.detach().clone() for name, weight in head.named_parameters()}
    assert list(before) == ["layers.1.weight", "layers.1.bias"]
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(100):
        optimizer.zero_grad()
        objective.loss(states, np.arange(len(states))).backward()
        optimizer.step()
    trained = objective.evaluate(states)
    assert trained["loss"] < plain["loss"] / 2
    assert trained["span_f1"] >= 0.8
    assert isinstance(head, CrfHead)
    start, pairs, _ = head.crf.transitions
    assert float(start.detach()[:2].min()) > float(start.detach()[2:].max())  # texts begin with O or B-animal
    assert float(pairs.detach()[0, 0]) > 0
    outputs = torch.from_numpy(objective.outputs(states))
    torch.testing.assert_close(outputs.exp().sum(1), torch.ones(len(outputs)))


@pytest.mark.parametrize(
    ("frozen", "schedule", "transitions"),
    [([], "joint", "learned"), (["embeddings", "layers:0"], "round-robin", None), (["backbone"], "round-robin", "learned")],
    ids=["whole", "upper", "cached"],
)
def test_a_training_resumes_bit_for_bit(
    frozen: list[str],
    schedule: str,
    transitions: Transitions | None,
    tiny_model: MultiTaskModel,
    word_tasks: dict[str, TaskData],
    run: Callable[..., Any],
) -> None:
    task = word_tasks["things"]
    spec = replace(task.spec, transitions=transitions)
    tiny_model.add_task(spec)
    tasks = {"things": replace(task, spec=spec), "topic": word_tasks["topic"]}
    log, settings = io.StringIO(), {"epochs": 2, "batch_tokens": 90, "cache_prefix": bool(frozen[:1] == ["embeddings"])}
    keeper, model = Keeper(log), deepcopy(tiny_model)
    before = deepcopy(tiny_model.state_dict())
    whole = run(model, tasks, frozen, schedule, log=log, saved={"saver": keeper}, **settings)
    step = len(keeper.states) // 2
    again = deepcopy(tiny_model)
    done = run(again, tasks, frozen, schedule, saved={"state": keeper.states[step]}, **settings)
    assert_same_weights(again.state_dict(), model.state_dict())
    assert_same_end(done.events, whole.events)
    assert timeless(done.log) == timeless(whole.log)[keeper.lines[step] :]
    changed = {name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])}
    assert any(name.startswith("heads.things") for name in changed)
    kept = ("backbone.tokens", "backbone.blocks.0") if frozen else ("heads.stars",)
    assert not [name for name in changed if name.startswith(kept)]


def test_windows_within_a_long_word_teach_nothing(tiny_model: MultiTaskModel, text_encoder: TextEncoder) -> None:
    spec = TaskSpec("things", "tokens", TAGS, tags="bio")
    table = tagged(["otter" * 40 + " dog", "dog"])
    task = prepare_task(spec, "tests", table, table, text_encoder.with_encoding(max_length=24))
    tiny_model.add_task(spec)
    encoded = task.train.encoded
    assert isinstance(encoded, EncodedWords)
    empty = np.flatnonzero(np.diff(encoded.words) == 0)
    assert len(empty)
    loss = losses_of(tiny_model, head_objectives(tiny_model, {"things": task}))({"things": empty})["things"]
    assert float(loss.detach()) == 0
    loss.backward()  # type: ignore[no-untyped-call]
