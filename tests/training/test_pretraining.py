"""Next-token training, cut at any step."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from cutting import Keeper, assert_same_weights, timeless
from torch import Tensor

from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.data.documents import DocumentSampler
from mtlkit.data.masking import Masking
from mtlkit.data.windows import TokenSampler, WindowSampler
from mtlkit.errors import UsageError
from mtlkit.inference.compute import Compute
from mtlkit.model.encoder import Encoder
from mtlkit.model.interop.families.base import has_causal_head
from mtlkit.model.masked import MaskedLanguageModel
from mtlkit.model.prediction_head import PredictionHead
from mtlkit.training import spikes as loss_spikes
from mtlkit.training.events import Event, Progress
from mtlkit.training.finishing import MaskedFinish, log_frequencies
from mtlkit.training.incidents import PhaseEnded, StepSkipped
from mtlkit.training.loop import DivergedStep
from mtlkit.training.objectives.language import LanguageObjective, MaskedTokens, NextToken
from mtlkit.training.optimizer import LearningRate
from mtlkit.training.pretraining import Pretraining
from mtlkit.training.state_dict import StateDict

LENGTH = 8
MASKING = Masking(0, np.arange(1, 50), np.arange(50) == 0, np.zeros(50, bool), 0.3, "tokens")
Train = Callable[..., tuple[Pretraining, list[Event], list[dict[str, Any]]]]


@pytest.fixture
def train(compute: Compute) -> Train:
    """Trains fresh weights on 26 windows, 8 in a step: 4 steps an epoch, and dropout."""

    def train(
        saver: Any = None, log: io.StringIO | None = None, begun: StateDict | None = None, **more: Any
    ) -> tuple[Pretraining, list[Event], list[dict[str, Any]]]:
        torch.manual_seed(0)
        shape = PretrainOptions(block=more.get("block", "gpt2"), layers=2, dim=16, heads=2)
        model = Encoder(shape.fresh_architecture(50, LENGTH, "causal", dropout=0.1))
        objective: LanguageObjective = NextToken(
            model, PredictionHead(model.architecture) if has_causal_head(model.architecture) else None
        )
        if more.get("objective") == "mlm":
            model.attend("bidirectional")
            objective = MaskedTokens(MaskedLanguageModel(model, PredictionHead(model.architecture)), MASKING, seed=0)
        ids = np.random.default_rng(0).integers(0, 50, 26 * LENGTH + 1).astype(np.uint16)
        usual = {"context": LENGTH, "batch_tokens": 8 * LENGTH, "epochs": 2, "learning_rate": 1e-2, "packing": "stream"}
        options = PretrainOptions(**{**usual, **more})  # type: ignore[arg-type]
        sampler: TokenSampler = WindowSampler(ids, LENGTH)
        if options.packing == "documents":
            offsets = np.array([0, 3, 30, 60, 61, 100, 104, len(ids)])
            sampler = DocumentSampler(ids, LENGTH, offsets, (7,))
        precise = replace(compute, precision="bf16") if options.precision == "bf16" else compute
        finish = None
        if options.finish:
            masked = MaskedTokens(MaskedLanguageModel(model, PredictionHead(model.architecture)), MASKING, seed=0)
            finish = MaskedFinish(objective, masked, 0.4, lambda: {"loss": float(model.tokens.weight.detach().sum())})  # type: ignore[arg-type]
        training = Pretraining(objective, sampler, options, precise, finish=finish)
        if begun:
            training.resume(begun)
        log = log or io.StringIO()
        events = list(training.events(log, saver))
        return training, events, [json.loads(line) for line in log.getvalue().splitlines()]

    return train


@pytest.mark.parametrize("block", ["gpt2", "modern"])
def test_the_head_of_masked_tokens_begins_with_their_frequencies(block: str, train: Train) -> None:
    training, _, _ = train(block=block, finish="mlm:0.4", learning_rate=0.0)
    head = training.finish.objective.model.head  # type: ignore[union-attr]
    torch.testing.assert_close(head.bias.detach(), log_frequencies(training.sampler.ids, 50))


def of_next_phase(line: dict[str, Any]) -> bool:
    """Whether a record is written after a phase, and so after the checkpoint of its last step."""
    return line["type"] == "validation" or line.get("event") == "phase_ended"


def weights_of(training: Pretraining) -> dict[str, Tensor]:
    return {name: weight.detach() for name, weight in training.updater.weights.items()}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"tokens": 6 * 8 * LENGTH},
        {"on_spike": "skip"},
        {"objective": "mlm"},
        {"optimizer": "muon", "packing": "documents"},
        {"objective": "mlm", "packing": "documents"},
        {"precision": "bf16"},
        {"precision": "bf16", "objective": "mlm"},
        {"finish": "mlm:0.4", "optimizer": "muon", "on_spike": "skip"},
        {"block": "modern", "optimizer": "muon"},
        {"block": "modern", "finish": "mlm:0.4", "optimizer": "muon"},
    ],
)
def test_training_resumes_from_every_step(more: dict[str, Any], train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_spikes, "LEAST", 3)
    monkeypatch.setattr(loss_spikes, "DEVIATIONS", 0.1)
    log = io.StringIO()
    keeper = Keeper(log)
    whole, events, lines = train(keeper, log, **more)
    steps = 6 if "tokens" in more else 8
    assert (whole.state.step, list(keeper.states)) == (steps, list(range(1, steps + 1)))
    assert any("skipped" in line for line in lines) == ("on_spike" in more)
    for step, state in keeper.states.items():
        again, later, rest = train(begun=state, **more)
        assert_same_weights(weights_of(again), weights_of(whole))
        assert timeless(rest) == [line for line in timeless(lines) if line["step"] + of_next_phase(line) > step]
        assert (again.state.step, again.state.seen) == (steps, whole.state.seen)
        assert again.state.seconds >= state.part("trainer").plain["seconds"]
        skipped = [one for one in events if isinstance(one, StepSkipped)]
        assert [one for one in later if isinstance(one, StepSkipped)] == [one for one in skipped if one.step > step]
        seen = [(one.step, one.steps, one.epoch) for one in later if isinstance(one, Progress)]
        assert seen == [(one.step, one.steps, one.epoch) for one in events if isinstance(one, Progress)][step:]


def test_one_step_has_no_room_for_two_phases(train: Train) -> None:
    with pytest.raises(UsageError, match=r"--finish mlm:0.4 makes two phases, and the training has only 1 step; give more"):
        train(finish="mlm:0.4", tokens=1)
    _, _, lines = train(finish="mlm:0.4", tokens=2 * 8 * LENGTH)
    assert [list(line["losses"]) for line in lines if line["type"] == "step"] == [["next token"], ["masked token"]]


def test_the_last_steps_predict_masked_tokens_from_both_sides(train: Train) -> None:
    log = io.StringIO()
    keeper = Keeper(log)
    training, events, lines = train(keeper, log, finish="mlm:0.4")
    losses = [list(line["losses"]) for line in lines if line["type"] == "step"]
    assert losses == 5 * [["next token"]] + 3 * [["masked token"]]
    (ended,) = [event for event in events if isinstance(event, PhaseEnded)]
    assert (ended.steps, ended.metrics) == (3, training.finish.metrics)  # type: ignore[union-attr]
    assert [line["step"] for line in lines if line["type"] == "validation"] == [5]
    rates = [line["learning_rate"] for line in lines if line["type"] == "step"]
    assert rates == [LearningRate(1e-2, phase).at(step) for phase in (5, 3) for step in range(phase)]  # one for each phase
    model = training.finish.objective.model  # type: ignore[union-attr]
    assert model.encoder.architecture.attention == "bidirectional"
    first, before = (keeper.states[step].part("updater").tensors["weights:last_head.dense.weight"] for step in (1, 5))
    assert torch.equal(before, first)
    assert not torch.equal(before, model.head.dense.weight)


@pytest.mark.parametrize("more", [{}, {"objective": "mlm"}, {"precision": "bf16"}, {"packing": "documents"}])
def test_recomputed_blocks_give_the_same_bits(more: dict[str, Any], train: Train) -> None:
    kept, again = (train(recompute=recompute, **more)[0] for recompute in (False, True))
    assert_same_weights(weights_of(again), weights_of(kept))


def test_more_epochs_go_on_from_the_end_of_fewer(train: Train) -> None:
    log = io.StringIO()
    keeper = Keeper(log)
    short, _, _ = train(keeper, log, epochs=1)
    longer, events, lines = train(begun=keeper.states[4], epochs=3)
    assert [line["step"] for line in lines] == list(range(5, 13))
    assert longer.state.seen > short.state.seen
    assert [one.epoch for one in events if isinstance(one, Progress)] == [2] * 4 + [3] * 4


def test_a_spike_that_stops_is_saved_as_it_was_before_its_step(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss_spikes, "LEAST", 3)
    monkeypatch.setattr(loss_spikes, "DEVIATIONS", 0.1)
    logs = [io.StringIO(), io.StringIO()]
    taken, stopped = map(Keeper, logs)
    whole, _, lines = train(taken, logs[0])
    with pytest.raises(DivergedStep, match="is a spike") as caught:
        train(stopped, logs[1], on_spike="stop")
    step = caught.value.index
    assert max(stopped.states) == step < 8
    again, _, rest = train(begun=stopped.states[step])
    assert_same_weights(weights_of(again), weights_of(whole))
    assert timeless(rest) == [line for line in timeless(lines) if line["step"] > step]


def test_how_much_there_is_to_do(train: Train) -> None:
    for more, steps, epochs in (({}, 8, 2), ({"tokens": 1}, 1, 1), ({"tokens": 5 * 64}, 5, 2), ({"batch_tokens": 8}, 52, 2)):
        training, _, _ = train(**{"epochs": 2, **more})  # type: ignore[arg-type]
        assert (training.steps, training.epochs, training.state.step) == (steps, epochs, steps)
        assert training.state.seen <= steps * training.step_tokens
