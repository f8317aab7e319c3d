"""`train-sentence` with the objectives that need no labels: real runs on small data."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from forks import Forks
from support import notes, write

from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.errors import DataError
from mtlkit.inference.load_model import load
from mtlkit.inference.load_weights import load_weights
from mtlkit.recipes.train_sentence import stream, train_sentence
from mtlkit.runs.record import verify
from mtlkit.training.events import Epoch, Event
from mtlkit.training.freezing.apply import digest
from mtlkit.training.validation import best_weights

NAMES = {  # what the other text of a pair calls it
    "cat": "kitten", "dog": "puppy", "horse": "pony", "sparrow": "bird", "hammer": "mallet", "saw": "blade", "drill": "borer",
    "lathe": "mill",
}  # fmt: skip
PLACES = {"river": "stream", "barn": "stable", "hill": "mountain", "shelf": "rack", "oak": "tree"}
SCRATCH: dict[str, Any] = {"init": "scratch", "layers": 1, "dim": 32, "heads": 2, "vocab_size": 400, "dropout": 0.0}
QUICK: dict[str, Any] = {"batch_tokens": 400, "learning_rate": 5e-3, "epochs": 5}


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A source for each objective: texts, pairs that say the same in other words, pairs with how much they share."""
    folder = tmp_path_factory.mktemp("vectors")
    both = list(product(NAMES, PLACES))
    first = [f"The {name} lies near the {place}." for name, place in both]
    second = [f"By the {PLACES[place]} there is a {NAMES[name]}" for name, place in both]
    write(folder / "texts.csv", [["text"], *([text] for text in first + second)])
    random = np.random.default_rng(0)
    write(folder / "labels.csv", [["text", "label"], *zip(first + second, [name for name, _ in both] * 2, strict=True)])
    equal = [[first[row], second[row]] for row in random.permutation(40)]
    scored = [
        [first[row], second[other], str(len({*both[row]} & {*both[other]}))]
        for row, other in random.permuted(np.array(list(product(range(40), repeat=2))), axis=0)[:300]
    ]
    for split, rows in (("train", slice(0, -10)), ("validation", slice(-10, None))):
        write(folder / "pairs" / f"{split}.csv", [["anchor", "positive"], *equal[rows]])
    for split, rows in (("train", slice(0, 250)), ("validation", slice(250, 300))):
        write(folder / "scored" / f"{split}.csv", [["sentence1", "sentence2", "score"], *scored[rows]])
    return {
        "distill": folder / "texts.csv",
        "labels": folder / "labels.csv",
        "pairs": folder / "pairs",
        "similarity": folder / "scored",
    }


@pytest.fixture(scope="module")
def teacher(texts: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A model that knows which texts say the same."""
    out = tmp_path_factory.mktemp("teacher") / "run"
    return str(train_sentence(options(texts, "pairs", out, epochs=20)).run)


def options(texts: dict[str, Path], objective: Any, out: Path, **more: Any) -> TrainSentenceOptions:
    return TrainSentenceOptions(objective=objective, task=f"one={texts[objective]}", out=out, **{**SCRATCH, **QUICK, **more})


def scores(events: list[Event]) -> list[float]:
    return [event.score for event in events if isinstance(event, Epoch)]


def cosine(left: np.ndarray[Any, Any], right: np.ndarray[Any, Any]) -> float:
    return float(left @ right / np.linalg.norm(left) / np.linalg.norm(right))


def test_distillation_from_a_teacher_starts_at_its_tokens_and_comes_nearer(
    texts: dict[str, Path], teacher: str, tmp_path: Path
) -> None:
    how = options(
        texts, "distill", tmp_path / "run", teacher=teacher, token_init="teacher", lowercase=True,
        matryoshka="8", distill_loss="both",
    )  # fmt: skip
    events = list(stream(how))
    found = scores(events)
    assert max(found) > found[0]
    assert max(found) > 0.6
    assert f"teacher: {teacher}, vectors of 32; 76 texts to train on, 4 held out" in notes(events)
    record = verify(how.out or Path())
    assert (record.data["one"]["teacher"]["path"], record.parent) == (teacher, None)
    assert record.metrics["validation"]["one"].keys() == {"loss", "spearman"}
    made = load_weights(how.out or Path())
    assert (made.checkpoint.architecture.pooling, made.model.tasks) == ("weighted", {})
    weights = made.model.backbone.token_weights
    vocabulary = made.encoder.tokenizer.get_vocab()
    assert weights[vocabulary["Ġthe"]] < weights[vocabulary["Ġlies"]]  # the common one counts for less
    model = load(how.out or Path())
    one, other, same = model.embed(["The cat lies near the river.", "A drill on the shelf.", "the CAT lies near the RIVER."])
    assert np.allclose(one, same)  # case is folded
    assert cosine(one, other) < 0.99


def test_pairs_find_their_partners(texts: dict[str, Path], tmp_path: Path) -> None:
    how = options(texts, "pairs", tmp_path / "run", epochs=20, matryoshka="16")
    events = list(stream(how))
    found = scores(events)
    assert max(found) > found[0] + 0.3
    assert "30 pairs to train on, 10 to validate" in notes(events)
    record = verify(tmp_path / "run")
    assert record.metrics["validation"]["one"].keys() == {"loss", "accuracy"}
    assert record.data["one"]["train"]["values"] == 60
    vectors = load(tmp_path / "run").embed(
        ["The cat lies near the river.", "By the stream there is a kitten", "By the tree there is a blade"]
    )
    for width in (32, 16):
        first, second, other = vectors[:, :width]
        assert cosine(first, second) > cosine(first, other) + 0.3


@pytest.mark.parametrize("objective", ["pairs", "triplets"])
def test_hard_negatives_are_pushed_away(objective: str, texts: dict[str, Path], tmp_path: Path) -> None:
    rows = [
        [
            f"The {name} lies near the {place}.",
            f"By the {PLACES[place]} there is a {NAMES[name]}",
            f"A {other} sings on the {place}",
        ]
        for (name, place), other in zip(product(NAMES, PLACES), [*NAMES][::-1] * 5, strict=True)
        if name != other
    ]
    path = write(tmp_path / "triplets.csv", [["anchor", "positive", "negative"], *rows])
    how = options({objective: path}, objective, tmp_path / "run", epochs=8, matryoshka="16")
    events = list(stream(how))
    assert "first=anchor, second=positive, negatives=negative" in notes(events)
    record = verify(tmp_path / "run")
    assert record.metrics["validation"]["one"].keys() == {"loss", "accuracy"}
    assert record.data["one"]["train"]["values"] % 3 == 0
    first, second, negative = load(tmp_path / "run").embed(rows[0])
    assert cosine(first, second) > cosine(first, negative) + 0.2


def test_triplets_without_negatives_are_refused(texts: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="triplets need a column of negatives; columns: anchor, positive; specify"):
        train_sentence(options({"triplets": texts["pairs"]}, "triplets", tmp_path / "run"))


def test_labels_bring_texts_of_a_class_together(texts: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best_weights, "FEW", 50)  # as outside of tests
    how = options(texts, "labels", tmp_path / "run", epochs=6, matryoshka="16", freeze=["embeddings"])
    events = list(stream(how))
    assert "72 texts to train on, 8 to validate; 8 labels" in notes(events)
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert all(epoch.best for epoch in epochs)  # 8 rows choose no epoch: the last is kept
    record = verify(tmp_path / "run")
    assert (record.metrics["best_epoch"], record.stage) == (6, "sentence")
    assert load_weights(tmp_path / "run").model.tasks == {}
    vectors = load(tmp_path / "run").embed(
        ["The cat lies near the river.", "The cat lies near the hill.", "The saw lies near the river."]
    )
    for width in (32, 16):
        first, second, other = vectors[:, :width]
        assert cosine(first, second) > cosine(first, other) + 0.3


def test_similarity_follows_the_scores(texts: dict[str, Path], tmp_path: Path) -> None:
    how = options(texts, "similarity", tmp_path / "run", epochs=20, batch_tokens=10_000)
    events = list(stream(how))
    found = scores(events)
    assert max(found) > found[0] + 0.3
    record = verify(tmp_path / "run")
    assert record.options["batch_size"] == 16
    assert max(event.step for event in events if isinstance(event, Epoch)) == 20 * 16  # of 250 pairs
    assert record.metrics["validation"]["one"].keys() == {"loss", "pearson", "spearman"}
    one, same, other = load(tmp_path / "run").embed(
        ["The cat lies near the river.", "By the stream there is a kitten", "By the tree there is a blade"]
    )
    assert cosine(one, same) > cosine(one, other) + 0.02


COMMANDS = {
    "distill": ["--token-init", "teacher", "--teacher-precision", "fp32"],
    "pairs": [],
    "similarity": ["--matryoshka", "16,8"],
}


@pytest.mark.parametrize("objective", COMMANDS)
def test_the_command_line_trains_each_objective_and_embeds_with_it(
    objective: str, texts: dict[str, Path], teacher: str, forks: Forks, tmp_path: Path
) -> None:
    taught = ["--teacher", teacher] if objective == "distill" else []
    shape = [
        part for name, value in {**SCRATCH, **QUICK, "epochs": 12}.items() for part in (f"--{name.replace('_', '-')}", value)
    ]
    child = forks.start(
        "train-sentence", "--objective", objective, "--task", f"one={texts[objective]}", *taught, *COMMANDS[objective], *shape,
        "--out", tmp_path / "run", "--json",
    )  # fmt: skip
    assert child.wait() == 0, child.err
    answer = json.loads(child.out)
    assert answer["run"] == str(tmp_path / "run")
    epochs = [
        line for line in map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()) if line["type"] == "epoch"
    ]
    figure = "accuracy" if objective == "pairs" else "spearman"
    figures = [line["tasks"][0]["validation"][figure] for line in epochs]
    assert len(figures) == 12
    assert answer["metrics"]["score"] == max(figures) > figures[0] + 0.05
    assert verify(tmp_path / "run").stage == "sentence"
    assert np.isfinite(load(tmp_path / "run").embed(["The cat", ""])).all()


@pytest.mark.parametrize("dim", [8, 64])
def test_a_student_may_be_narrower_or_wider_than_its_teacher(
    dim: int, texts: dict[str, Path], teacher: str, tmp_path: Path
) -> None:
    how = options(texts, "distill", tmp_path / "run", teacher=teacher, token_init="teacher", dim=dim, epochs=3)
    found = scores(list(stream(how)))
    assert max(found) > 0.3
    assert load(tmp_path / "run").embed(["The cat"]).shape == (1, dim)


def test_two_texts_are_enough_to_distil(teacher: str, tmp_path: Path) -> None:
    path = write(tmp_path / "two.csv", [["text"], ["The cat sleeps."], ["A saw"]])
    how = options({"distill": path}, "distill", tmp_path / "run", teacher=teacher, epochs=2)
    assert train_sentence(how).metrics["score"] is None  # one held-out text has no order; the loss chose the epoch
    one = write(tmp_path / "one.csv", [["text"], ["The cat sleeps."]])
    with pytest.raises(DataError, match=r"one\.csv: 1 text; at least two are needed"):
        train_sentence(options({"distill": one}, "distill", tmp_path / "other", teacher=teacher))


@pytest.mark.parametrize("name", ["one", "kind"])
def test_heads_of_the_start_stay_as_they_were_whatever_the_data_is_called(
    name: str, texts: dict[str, Path], runs: Path, tmp_path: Path
) -> None:
    how = TrainSentenceOptions(
        objective="pairs",
        task=f"{name}={texts['pairs']}",
        init=str(runs / "mtl"),
        out=tmp_path / "run",
        epochs=1,
        batch_tokens=400,
    )
    events = list(stream(how))
    assert "not trained (no data given): head:kind, head:state" in notes(events)
    before, after = load_weights(runs / "mtl").model, load_weights(tmp_path / "run").model
    assert {
        part: digest(before.part(part).state_dict()) == digest(after.part(part).state_dict())
        for part in ("head:kind", "head:state", "backbone")
    } == {
        "head:kind": True,
        "head:state": True,
        "backbone": False,
    }


def test_a_lower_half_can_stay_frozen(texts: dict[str, Path], runs: Path, tmp_path: Path) -> None:
    train_sentence(
        TrainSentenceOptions(
            objective="similarity", task=f"one={texts['similarity']}", init=str(runs / "sentence"), out=tmp_path / "run",
            epochs=1, freeze=["embeddings", "layers:0"], batch_tokens=400,
        )
    )  # fmt: skip
    before, after = load_weights(runs / "sentence").model, load_weights(tmp_path / "run").model
    same = [torch.equal(one, other) for one, other in zip(before.backbone.parameters(), after.backbone.parameters(), strict=True)]
    assert any(same)
    assert not all(same)
