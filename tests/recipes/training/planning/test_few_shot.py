"""Options that do not fit `--few-shot` are refused by name, before data is read."""

from __future__ import annotations

from typing import Any

import pytest

from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.train_mtl import SPEC
from mtlkit.recipes.training.planning.plan import make_plan


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"freeze": ["backbone"]}, "--freeze backbone"),
        ({"freeze": ["backbone@until=epoch:2"]}, "--freeze backbone"),
        ({"freeze": ["head:topic"], "init": "scratch"}, "--freeze head:topic"),
        ({"unfreeze": "top-down"}, "--unfreeze top-down"),
        ({"head": "mlp:8"}, "--head mlp:8"),
        ({"solver": "sgd"}, "--solver sgd"),
        ({"baselines": True}, "--baselines"),
        ({"patience": 2}, "--patience"),
        ({"keep_state": True}, "--keep-state"),
        ({"balance": "uncertainty"}, "--balance uncertainty"),
        ({"guard": ["l2sp"]}, "--guard"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words) as error:
        make_plan(TrainMtlOptions(few_shot=True, **options), SPEC, options.get("init", "mini"))
    assert "--few-shot" in str(error.value)


def test_lower_layers_may_be_frozen() -> None:
    make_plan(TrainMtlOptions(few_shot=True, freeze=["embeddings,layers:0"]), SPEC, "mini")
