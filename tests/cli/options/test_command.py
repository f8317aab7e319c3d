from __future__ import annotations

import json
import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import typer
from support import COMMANDS

from mtlkit.cli.options.arguments import with_values
from mtlkit.cli.options.command import add_command
from mtlkit.cli.options.config_file import read_config
from mtlkit.cli.options.fields import PANELS
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.errors import UsageError
from mtlkit.recipes.inputs.command_line import command_line

if TYPE_CHECKING:
    from cli.conftest import Typed


def parse(options: type[Any], *arguments: object) -> Any:
    """The options that the command line parses from these arguments."""
    found: list[Any] = []

    def take(values: Any, as_json: bool) -> None:
        """Takes the options."""
        found.append(values)

    app = typer.Typer()
    add_command(app, "take", options, take, [])
    app(list(map(str, arguments)), standalone_mode=False)
    return found[0]


@pytest.mark.parametrize("options", COMMANDS.values())
def test_no_arguments_give_the_defaults(options: type[Any]) -> None:
    assert parse(options) == options()


@pytest.mark.parametrize("options", COMMANDS.values())
def test_every_option_has_a_description(options: type[Any]) -> None:
    declared = [field for field in fields(options) if "option" in field.metadata]
    assert len(declared) >= len(fields(options)) - 1
    for field in declared:
        option = field.metadata["option"]
        assert option.help.endswith("."), field.name
        assert option.panel in PANELS, field.name


def test_every_option_is_in_the_help(typed: Typed) -> None:
    for command, options in COMMANDS.items():
        text = typed(command, "--help-all", width=140).out
        for field in fields(options):
            option = field.metadata.get("option")
            if option and not option.positional:
                assert re.search(rf"^  --{field.name.replace('_', '-')}\b", text, re.M), field.name


def test_values_of_every_type_arrive(tmp_path: Path) -> None:
    found = parse(
        TrainMtlOptions,
        "--task", "a=x.csv?text=b&limit=3", "--task", "b=y.csv", "--freeze", "backbone,head:a", "--freeze", "head:b",
        "--layers", 3, "--learning-rate", "1e-4", "--overwrite", "--out", tmp_path, "--attention", "causal",
        "--schedule", "joint",
    )  # fmt: skip
    assert found == TrainMtlOptions(
        task=["a=x.csv?text=b&limit=3", "b=y.csv"], freeze=["backbone,head:a", "head:b"], layers=3, learning_rate=1e-4,
        overwrite=True, out=tmp_path, attention="causal", schedule="joint",
    )  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        TrainMtlOptions(),
        TrainMtlOptions(
            task=["a=my file.csv?text=it's", "b=y"], freeze=["backbone", "head:a"], out=Path("a b/c"), overwrite=True,
            learning_rate=3e-05, truncate="tail", max_length=99, head="mlp:8,4", cap="shortest", dropout=0.0, seed=3,
        ),
        TrainSentenceOptions(task="kind=x.csv", init="scratch", size="s", epochs=2, attention="causal"),
        PretrainOptions(sources=["a.txt", "b c.txt"], tokens=1000, runs=Path("elsewhere"), warmup=0.0),
    ],
)  # fmt: skip
def test_the_command_of_a_run_gives_its_options_again(options: Any) -> None:
    words = shlex.split(command_line("name", options))
    assert words[:2] == ["mtlkit", "name"]
    assert parse(type(options), *words[2:]) == options


def test_a_configuration_sets_options_and_the_command_line_wins(typed: Typed, data: Path, mtl: Path, tmp_path: Path) -> None:
    config = tmp_path / "tiny.toml"
    config.write_text(
        f'task = ["kind={data / "kind"}", "state={data / "state"}"]\ninit = "{mtl}"\nfreeze = ["backbone", "head:kind"]\n'
        f'epochs = 1\nbatch-tokens = 128\nlearning_rate = 0.002\nout = "{tmp_path / "configured"}"\noverwrite = true\n'
    )
    answer = typed("train-mtl", "--config", config, "--epochs", 2, "--freeze", "head:state", "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["run"] == str(tmp_path / "configured")
    options = json.loads((tmp_path / "configured" / "run.json").read_text())["options"]
    assert options["epochs"] == 2
    assert options["freeze"] == ["head:state"]
    assert (options["batch_tokens"], options["learning_rate"], options["overwrite"]) == (128, 0.002, True)
    assert options["task"] == [f"kind={data / 'kind'}", f"state={data / 'state'}"]
    assert options["warmup"] == TrainMtlOptions().warmup


def test_single_value_is_accepted_for_a_list(tmp_path: Path) -> None:
    config = tmp_path / "one.toml"
    config.write_text('task = "a=x.csv"\nfreeze = "backbone"\n')
    found = parse(TrainMtlOptions, "--config", config)
    assert (found.task, found.freeze) == (["a=x.csv"], ["backbone"])
    config.write_text('sources = "a.txt"\n')
    assert parse(PretrainOptions, "--config", config).sources == ["a.txt"]


def test_dashes_and_underscores_are_alike(tmp_path: Path) -> None:
    config = tmp_path / "c.toml"
    config.write_text("batch-tokens = 64\nhead_rate = 2.0\n")
    assert read_config(config, ["batch_tokens", "head_rate"], []) == {"batch_tokens": 64, "head_rate": 2.0}


@pytest.mark.parametrize("key", ["epocs", "batch-tokns", "batch_tokns"])
def test_an_unknown_key_is_refused_with_the_nearest_name(typed: Typed, tmp_path: Path, key: str) -> None:
    config = tmp_path / "c.toml"
    config.write_text(f"{key} = 3\n")
    answer = typed("train-mtl", "--config", config)
    assert (answer.code, answer.out) == (2, "")
    assert f"{config}: no option '{key.replace('-', '_')}'" in answer.err
    assert ("did you mean 'epochs'?" if key == "epocs" else "did you mean 'batch-tokens'?") in answer.err


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"epochs = ", "not TOML"), (b"[train-mtl]\nepochs = 3\n", "no option 'train_mtl'"), (b"init = '\xff'", "not TOML")],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    config = tmp_path / "c.toml"
    config.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        parse(TrainMtlOptions, "--config", config)


def test_a_configuration_that_is_not_there_is_refused(typed: Typed, tmp_path: Path) -> None:
    answer = typed("eval", "--config", tmp_path / "none.toml")
    assert (answer.code, answer.err) == (2, f"mtlkit: --config {tmp_path / 'none.toml'}: missing; give a TOML file\n")


@pytest.mark.parametrize("line", ["epochs = 'three'", "epochs = 0", "schedule = 'random'", "overwrite = 'perhaps'"])
def test_a_value_in_a_configuration_is_checked_like_an_argument(typed: Typed, tmp_path: Path, line: str) -> None:
    config = tmp_path / "c.toml"
    config.write_text(line)
    answer = typed("train-mtl", "--config", config)
    assert (answer.code, answer.out) == (2, "")
    assert f"--{line.split()[0]}" in answer.err


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("train-mtl --resume", "train-mtl --resume="),
        ("train-mtl --resume runs/x", "train-mtl --resume runs/x"),
        ("train-mtl --resume --epochs 3", "train-mtl --resume= --epochs 3"),
        ("train-mtl --epochs 3 --resume --json", "train-mtl --epochs 3 --resume= --json"),
        ("train-mtl --resume=runs/x --json", "train-mtl --resume=runs/x --json"),
        ("pretrain --resume -- --resume", "pretrain --resume= -- --resume"),
        ("embed -- --resume", "embed -- --resume"),
        ("embed --out", "embed --out"),
        ("", ""),
    ],
)
def test_option_value_may_be_left_out(typed: str, expected: str) -> None:
    assert with_values(typed.split()) == expected.split()
