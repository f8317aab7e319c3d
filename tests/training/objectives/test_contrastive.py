"""Losses of vectors against numbers worked out by hand or by numpy and scipy."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr
from support import losses_of
from torch import Tensor, nn

from mtlkit.config.architecture import Encoding
from mtlkit.config.commands.train_sentence import DistillLoss
from mtlkit.data.datasets.pair_data import PairTexts, TargetTexts, prepare_pairs
from mtlkit.data.tokenization.tokenizer import TextEncoder, train_tokenizer
from mtlkit.inference.compute import Compute
from mtlkit.model.interop import silence
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.training.objectives import contrastive as module
from mtlkit.training.objectives.base import Objective
from mtlkit.training.objectives.contrastive import DistillObjective, SimilarityObjective
from mtlkit.training.objectives.pairs import PairsObjective

WORDS = ["cat", "dog", "horse", "trout", "otter", "saw", "drill", "lathe", "file", "chisel"]
FIRSTS = [f"The {word} sleeps{' near the barn' * (place % 3)}." for place, word in enumerate(WORDS)]
SECONDS = [f"A {word}{' lies on the floor' * (place % 2)}" for place, word in enumerate(WORDS)]
SCORES = [3.0, 1.0, 2.0, 5.0, 0.5, 4.0, 1.0, 2.5, 0.0, 3.5]
Array = NDArray[np.float64]


@pytest.fixture
def numbers() -> Array:
    """20 vectors of width 6."""
    return np.random.default_rng(0).normal(size=(20, 6))


@pytest.fixture
def pairs(text_encoder: TextEncoder) -> PairTexts:
    return prepare_pairs(FIRSTS, SECONDS, SCORES, text_encoder)


def unit(vectors: Array) -> Array:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def floats(vectors: Array) -> Tensor:
    return torch.from_numpy(vectors.astype(np.float32))


def cross_entropy(logits: Array) -> float:
    """Of the right class on the diagonal."""
    return float(np.mean(np.log(np.exp(logits).sum(1)) - np.diag(logits)))


def distill(
    text_encoder: TextEncoder, targets: Array, loss: DistillLoss = "vector", widths: Sequence[int] = (6,)
) -> DistillObjective:
    texts = TargetTexts(text_encoder.encode([*FIRSTS, *SECONDS][: len(targets)]), targets.astype(np.float32))
    return DistillObjective(texts, texts, loss, widths)


@pytest.mark.parametrize("widths", [[6], [6, 4, 1]])
@pytest.mark.parametrize("loss", ["vector", "matrix", "both"])
def test_distillation_compares_vectors_or_their_cosines_with_the_teachers(
    loss: DistillLoss, widths: list[int], text_encoder: TextEncoder, numbers: Array
) -> None:
    targets = np.random.default_rng(1).normal(size=(20, 6))
    rows = np.array([4, 0, 17])

    def by_hand(width: int) -> float:
        ours, theirs = unit(numbers[rows, :width]), unit(targets[rows, :width])
        vector = np.mean([1 - ours[row] @ theirs[row] for row in range(3)])
        differences = [ours[one] @ ours[two] - theirs[one] @ theirs[two] for one in range(3) for two in range(3)]
        matrix = 10 * np.mean(np.square(differences))
        return float({"vector": vector, "matrix": matrix, "both": vector + matrix}[loss])

    found = distill(text_encoder, targets, loss, widths).loss(floats(numbers[rows]), rows)
    assert float(found) == pytest.approx(np.mean([by_hand(width) for width in widths]), rel=1e-5)


@pytest.mark.parametrize("loss", ["vector", "matrix", "both"])
def test_a_student_whose_vectors_are_the_teachers_at_another_length_has_learned_all(
    loss: DistillLoss, text_encoder: TextEncoder, numbers: Array
) -> None:
    objective = distill(text_encoder, numbers, loss)
    found = objective.evaluate(floats(numbers * np.arange(1, 21)[:, None]))
    assert found == {"loss": pytest.approx(0, abs=1e-6), "spearman": pytest.approx(1)}


@pytest.mark.parametrize("most", [6, 20])
def test_distillation_is_judged_by_the_order_of_cosines(
    most: int, text_encoder: TextEncoder, numbers: Array, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MATRIX_TEXTS", most)
    targets = np.random.default_rng(1).normal(size=(20, 6)) + numbers
    found = distill(text_encoder, targets).evaluate(floats(numbers))
    ours, theirs = unit(numbers), unit(targets)
    above = np.triu_indices(most, 1)
    assert found["spearman"] == pytest.approx(spearmanr((ours @ ours.T)[above], (theirs @ theirs.T)[above]).statistic, abs=1e-4)
    assert found["loss"] == pytest.approx(np.mean(1 - (ours * theirs).sum(1)), rel=1e-5)  # of all, however they are parted


@pytest.mark.parametrize("texts", [1, 2])
def test_one_or_two_held_out_texts_can_be_judged(texts: int, text_encoder: TextEncoder, numbers: Array) -> None:
    """They have no order; the loss decides."""
    found = distill(text_encoder, numbers[:texts]).evaluate(floats(numbers[2 : 2 + texts]))
    assert found["spearman"] is None
    assert "two values" in found["undefined"]["spearman"]
    assert 0 < found["loss"] <= 2


@pytest.mark.parametrize("widths", [[6], [6, 2]])
def test_pairs_learn_by_symmetric_cross_entropy_over_the_batch(widths: list[int], pairs: PairTexts, numbers: Array) -> None:
    chosen = np.array([8, 1, 5])

    def by_hand(width: int) -> float:
        first, second = unit(numbers[chosen, :width]), unit(numbers[chosen + 10, :width])
        logits = first @ second.T / 0.2
        return (cross_entropy(logits) + cross_entropy(logits.T)) / 2

    rows = np.concatenate([chosen, chosen + 10])
    found = PairsObjective(pairs, pairs, 0.2, widths).loss(floats(numbers[rows]), rows)
    assert float(found) == pytest.approx(np.mean([by_hand(width) for width in widths]), rel=1e-5)


def test_repeated_text_in_a_batch_is_not_a_negative(text_encoder: TextEncoder, numbers: Array) -> None:
    double = prepare_pairs(["a", "b", "a"], ["x", "y", "z"], [], text_encoder)
    rows = np.array([0, 1, 2, 3, 4, 5])
    vectors = numbers[rows]
    logits = unit(vectors[:3]) @ unit(vectors[3:]).T / 0.5
    logits[0, 2] = logits[2, 0] = -np.inf  # z belongs to a as x does
    expected = (cross_entropy(logits) + cross_entropy(logits.T)) / 2
    inputs = floats(vectors).requires_grad_()
    loss = PairsObjective(double, double, 0.5, [6]).loss(inputs, rows)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert inputs.grad is not None
    assert torch.isfinite(inputs.grad).all()


def test_pairs_are_judged_by_whose_partner_is_nearest(pairs: PairTexts, numbers: Array) -> None:
    vectors = numbers.copy()
    vectors[10:] = vectors[:10] + 0.01
    vectors[10], vectors[11] = vectors[11].copy(), vectors[10].copy()  # the partners of two of ten change places
    found = PairsObjective(pairs, pairs, 0.2, [6, 3]).evaluate(floats(vectors))
    logits = unit(vectors[:10]) @ unit(vectors[10:]).T / 0.2
    assert found["accuracy"] == pytest.approx(0.8)
    assert found["loss"] == pytest.approx((cross_entropy(logits) + cross_entropy(logits.T)) / 2, rel=1e-5)


def test_repeated_text_is_not_counted_as_a_miss(text_encoder: TextEncoder, numbers: Array) -> None:
    double = prepare_pairs(["a", "b", "a"], ["x", "y", "z"], [], text_encoder)
    vectors = numbers[[0, 1, 0, 0, 1, 0]]  # of all second texts, z is the nearest to a
    vectors[3] += 0.3 * numbers[2]
    assert PairsObjective(double, double, 0.2, [6]).evaluate(floats(vectors))["accuracy"] == 1


def test_pairs_without_a_competitor_are_no_hits(text_encoder: TextEncoder, numbers: Array) -> None:
    """Of four pairs, the two of `a` and `x` compete with one other pair each; the rest meets all of them."""
    some = prepare_pairs(["a", "a", "b", "x"], ["x", "y", "z", "a"], [], text_encoder)
    assert some.alone(np.array([0, 1, 3])).all()
    assert some.alone(np.array([0, 2])).tolist() == [False, False]
    none = prepare_pairs(["a", "b", "c"], ["yes", "yes", "yes"], [], text_encoder)
    found = PairsObjective(some, none, 0.2, [6]).evaluate(floats(numbers[:6]))
    assert found["accuracy"] is None
    assert "a text in common" in found["undefined"]["accuracy"]


def test_only_pairs_that_have_a_competitor_count(text_encoder: TextEncoder, numbers: Array) -> None:
    """The first pair shares a text with each of the others, which compete: one of them is right."""
    pairs = prepare_pairs(["a", "a", "b"], ["b", "x", "y"], [], text_encoder)
    assert pairs.alone(np.arange(3)).tolist() == [True, False, False]
    vectors = numbers[[0, 1, 2, 0, 2, 2]]  # the partner of the second lies where the third is
    vectors[4] += 1e-3
    assert PairsObjective(pairs, pairs, 0.2, [6]).evaluate(floats(vectors))["accuracy"] == 0.5


def test_what_a_batch_teaches_nothing_of_is_counted(pairs: PairTexts, text_encoder: TextEncoder, numbers: Array) -> None:
    double = prepare_pairs(["a", "b", "a"], ["x", "y", "z"], [], text_encoder)
    objective = PairsObjective(double, double, 0.2, [6])
    assert [objective.untaught(np.array(rows)) for rows in ([0, 2], [0, 1], [0, 1, 2], [1])] == [2, 0, 0, 1]
    scored = SimilarityObjective(pairs, pairs, [6])
    assert [scored.untaught(np.array(rows)) for rows in ([1, 6], [1, 2], [4])] == [2, 0, 1]


def test_texts_are_the_same_if_the_model_reads_the_same_tokens() -> None:
    folding = TextEncoder(train_tokenizer([*FIRSTS, *SECONDS], 300, lowercase=True), Encoding(max_length=8, truncate="head"))
    tail = " and so on" * 9
    firsts = ["The cat sleeps", "THE CAT SLEEPS", f"The dog {tail}", f"The dog {tail} again", "The saw"]
    found = prepare_pairs(firsts, SECONDS[:5], [], folding).pairs[0]
    assert found.tolist() == [0, 0, 1, 1, 2]


def cosent(cosines: Array, scores: Array) -> float:
    """log(1 + sum of exp(20 (cos_i - cos_j))) over all i, j with score_i < score_j."""
    terms = [
        math.exp(20 * (one - two))
        for one, low in zip(cosines, scores, strict=True)
        for two, high in zip(cosines, scores, strict=True)
        if low < high
    ]
    return math.log(1 + sum(terms))


@pytest.mark.parametrize("widths", [[6], [6, 3, 2]])
def test_similarity_learns_the_order_of_scores(widths: list[int], pairs: PairTexts, numbers: Array) -> None:
    chosen = np.array([8, 1, 6, 5])  # 1 and 6 have equal scores
    rows = np.concatenate([chosen, chosen + 10])

    def by_hand(width: int) -> float:
        cosines = (unit(numbers[chosen, :width]) * unit(numbers[chosen + 10, :width])).sum(1)
        return cosent(cosines, pairs.scores[chosen].astype(float))

    found = SimilarityObjective(pairs, pairs, widths).loss(floats(numbers[rows]), rows)
    assert float(found) == pytest.approx(np.mean([by_hand(width) for width in widths]), rel=1e-4)


def test_loss_and_gradients_of_similarity_are_those_of_sentence_transformers(pairs: PairTexts, numbers: Array) -> None:
    with silence.silence():
        theirs: Any = pytest.importorskip("sentence_transformers.losses").CoSENTLoss(nn.Identity())
    ours, rows = floats(numbers).requires_grad_(), np.arange(20)
    loss = SimilarityObjective(pairs, pairs, [6]).loss(ours, rows)
    loss.backward()  # type: ignore[no-untyped-call]
    vectors = floats(numbers).requires_grad_()
    features = [{"sentence_embedding": part} for part in vectors.split(10)]
    expected = theirs(features, torch.tensor(SCORES))
    expected.backward()
    torch.testing.assert_close(loss, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(ours.grad, vectors.grad, atol=1e-5, rtol=1e-5)


def test_a_similarity_batch_without_order_has_no_loss_and_a_gradient_of_zero(pairs: PairTexts, numbers: Array) -> None:
    vectors, rows = floats(numbers[[1, 11, 6, 16]]).requires_grad_(), np.array([1, 11, 6, 16])  # equal scores
    loss = SimilarityObjective(pairs, pairs, [6]).loss(vectors, rows)
    loss.backward()  # type: ignore[no-untyped-call]
    assert loss.item() == 0
    assert vectors.grad is not None
    assert not vectors.grad.any()


def test_similarity_is_judged_as_scipy_does(pairs: PairTexts, numbers: Array) -> None:
    cosines = (unit(numbers[:10]) * unit(numbers[10:])).sum(1)
    found = SimilarityObjective(pairs, pairs, [6]).evaluate(floats(numbers))
    assert found["spearman"] == pytest.approx(spearmanr(cosines, SCORES).statistic, abs=1e-5)
    assert found["pearson"] == pytest.approx(pearsonr(cosines, SCORES).statistic, abs=1e-5)
    assert found["loss"] == pytest.approx(cosent(cosines, np.array(SCORES)), rel=1e-4)


def distill_all(pairs: PairTexts, dim: int) -> DistillObjective:
    texts = TargetTexts(pairs.encoded, np.random.default_rng(1).normal(size=(20, dim)).astype(np.float32))
    return DistillObjective(texts, texts, "both", [dim])


MAKERS: dict[str, Callable[[PairTexts, int], Objective]] = {
    "distill": distill_all,
    "pairs": lambda pairs, dim: PairsObjective(pairs, pairs, 0.05, [dim]),
    "similarity": lambda pairs, dim: SimilarityObjective(pairs, pairs, [dim]),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_order_of_texts_in_a_batch_changes_nothing(kind: str, pairs: PairTexts, numbers: Array) -> None:
    objective = MAKERS[kind](pairs, 6)
    chosen = np.array([8, 1, 5, 3])
    rows = np.concatenate([chosen, chosen + 10])
    expected = objective.loss(floats(numbers[rows]), rows)
    for seed in range(5):
        shuffled = np.random.default_rng(seed).permutation(rows)
        torch.testing.assert_close(objective.loss(floats(numbers[shuffled]), shuffled), expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", MAKERS)
def test_each_text_of_a_step_meets_its_own_partner_and_target(kind: str, pairs: PairTexts, tiny_model: MultiTaskModel) -> None:
    """A batch sorts its texts by length; what belongs to them must follow."""
    objective = MAKERS[kind](pairs, tiny_model.vector_dim)
    chosen = np.array([8, 1, 5, 3])
    rows = chosen if kind == "distill" else np.concatenate([chosen, chosen + 10])
    alone = torch.cat([tiny_model.encode(objective.train.encoded.batch([row])) for row in rows])
    found = losses_of(tiny_model, {"one": objective})({"one": chosen})["one"]
    torch.testing.assert_close(found, objective.loss(alone, rows), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", MAKERS)
def test_cosines_are_worked_out_in_full_precision_in_any_training(kind: str, pairs: PairTexts, numbers: Array) -> None:
    objective = MAKERS[kind](pairs, 6)
    rows = np.arange(20)
    expected = objective.loss(floats(numbers), rows)
    with Compute(torch.device("cpu"), "bf16").autocast():
        found = objective.loss(floats(numbers), rows)
        halved = objective.loss(floats(numbers).bfloat16(), rows)
    assert torch.equal(found, expected)
    assert halved.dtype == torch.float32
    assert float(halved) == pytest.approx(float(expected), rel=0.05)
