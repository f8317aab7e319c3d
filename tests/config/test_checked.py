from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mtlkit.config.commands.check_data import CheckDataOptions
from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.errors import OptionError, UsageError


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"epochs": "x"}, "epochs", "'x' is not a whole number"),
        ({"epochs": 1.5}, "epochs", "1.5 is not a whole number"),
        ({"epochs": True}, "epochs", "True is not a whole number"),
        ({"epochs": 0}, "epochs", "at least 1"),
        ({"epochs": 10**30}, "epochs", "at most"),
        ({"epochs": 10**6000}, "epochs", "at most"),
        ({"seed": 2**64}, "seed", "at most"),
        ({"seed": -1}, "seed", "at least 0"),
        ({"cache_memory": math.inf}, "cache_memory", "not a finite number"),
        ({"dropout": math.nan}, "dropout", "not a finite number"),
        ({"dropout": "0.1"}, "dropout", "not a number"),
        ({"out": 5}, "out", "5 is not a path"),
        ({"out": ""}, "out", "the path is empty"),
        ({"out": "a\0b"}, "out", "NUL"),
        ({"out": "a" * 5000}, "out", "too long"),
        ({"out": "~nobody-of-that-name/x"}, "out", "no home folder is known for '~nobody-of-that-name'"),
        ({"freeze": 3}, "freeze", "not a list"),
        ({"freeze": [3]}, "freeze", "not a string"),
        ({"overwrite": "yes"}, "overwrite", "not true or false"),
        ({"class_weights": "balenced"}, "class_weights", "did you mean 'balanced'?"),
        ({"size": 3}, "size", "not one of xs, s, m, l"),
        ({"init": ["mini"]}, "init", "not a string"),
    ],
)
def test_a_wrong_value_is_refused_with_the_name_of_its_field(given: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(OptionError) as caught:
        TrainMtlOptions(**given)
    assert caught.value.field == field
    assert words in caught.value.reason
    assert len(str(caught.value)) < 250
    assert isinstance(caught.value, UsageError)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"schedule": "rr"}, "--schedule rr: unknown schedule"),
        ({"epoch_by": "steps:0"}, "--epoch-by steps:0: use steps:N"),
        ({"head": "mlp:x"}, "invalid --head 'mlp:x'"),
        ({"cap": "-3"}, "--cap '-3' is not"),
        ({"save_every": "soon"}, "--save-every soon: write"),
    ],
)
def test_a_text_with_a_grammar_is_read_when_the_options_are_made(given: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        TrainMtlOptions(**given)


def test_a_path_may_be_a_string() -> None:
    assert TrainMtlOptions(out="runs/x").out == Path("runs/x")  # type: ignore[arg-type]
    assert TrainMtlOptions(out=Path("runs/x")).out == Path("runs/x")
    assert EmbedOptions(model=Path("runs/x")).model == "runs/x"  # type: ignore[arg-type]


def test_a_list_may_be_a_single_value() -> None:
    assert TrainMtlOptions(freeze="backbone").freeze == ["backbone"]  # type: ignore[arg-type]
    assert TrainMtlOptions(freeze=("backbone", "norms")).freeze == ["backbone", "norms"]  # type: ignore[arg-type]
    assert CheckDataOptions(task="topic=sample:topic").task == ["topic=sample:topic"]  # type: ignore[arg-type]
    assert TrainSentenceOptions(task="topic=sample:topic").tasks == ["topic=sample:topic"]


def test_a_whole_number_is_a_number() -> None:
    dropout = TrainMtlOptions(dropout=0).dropout
    assert (dropout, type(dropout)) == (0.0, float)


@pytest.mark.parametrize("kind", [TrainMtlOptions, TrainSentenceOptions, EmbedOptions, CheckDataOptions])
def test_defaults_pass_their_own_checks(kind: type[Any]) -> None:
    kind()
