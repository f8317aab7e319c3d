"""Modules of sentence-transformers around a transformer: applied as the library does, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mtlkit.errors import IntegrityError
from mtlkit.model.interop.modules import SentenceTransformerModules, read_modules

USUAL = ("Transformer", "Pooling")
OLD = "sentence_transformers.models."


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def make(folder: Path, *kinds: str, prefix: str = OLD, pooling: dict[str, Any] | None = None, **files: Any) -> Path:
    """A folder of modules without weights; `files` by name, with `__` for a slash and `_json` for its ending."""
    listing = []
    for place, kind in enumerate(kinds or USUAL):
        path = "" if kind == "Transformer" else f"{place}_{kind}"
        listing.append({"idx": place, "name": str(place), "path": path, "type": prefix + kind})
        if kind == "Pooling":
            write(folder / path / "config.json", {"word_embedding_dimension": 8, **(pooling or {})})
    write(folder / "modules.json", listing)
    write(folder / "config.json", {"model_type": "bert"})
    for name, value in files.items():
        write(folder / f"{name}.json", value)
    return folder


@pytest.mark.parametrize(
    ("pooling", "wanted"),
    [
        ({}, "mean"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": False}, "mean"),
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "first"),
        ({"pooling_mode": "cls", "pooling_mode_mean_tokens": True}, "first"),
        ({"pooling_mode": ["mean"]}, "mean"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True, "pooling_mode_lasttoken": True}, "max+mean+last"),
        ({"pooling_mode": "weightedmean"}, "mean_by_position"),
        ({"pooling_mode": ["mean_sqrt_len_tokens", "cls"]}, "mean_sqrt_len+first"),
    ],
)
def test_pooling_has_the_defaults_of_the_library(pooling: dict[str, Any], wanted: str, tmp_path: Path) -> None:
    assert read_modules(make(tmp_path, pooling=pooling)).pooling == wanted


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        ({"pooling_mode": "attention"}, "attention"),
        ({"pooling_mode": ["cls", "min"]}, "cls, min"),
        ({"pooling_mode": []}, ""),
        ({"pooling_mode": ["mean"] * 17}, "mean, .*"),
        ({"pooling_mode": 3}, "3"),
        ({"pooling_mode": None}, "None"),
    ],
)
def test_another_pooling_is_refused_by_name(pooling: dict[str, Any], named: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=rf"1_Pooling/config\.json: pooling {named} is not supported; supported: cls, max"):
        read_modules(make(tmp_path, pooling=pooling))


@pytest.mark.parametrize("prefix", [OLD, "sentence_transformers.sentence_transformer.modules.x."])
def test_dropout_and_normalize_after_the_pooling(prefix: str, tmp_path: Path) -> None:
    found = read_modules(make(tmp_path, *USUAL, "Dropout", "Normalize", "Dropout", prefix=prefix))
    assert found.normalize
    assert found.pooling == "mean"
    assert not found.note


@pytest.mark.parametrize(
    ("kinds", "named"),
    [
        (("Transformer", "Pooling", "CNN"), "'CNN'"),
        (("Transformer", "Dense", "Pooling"), "the modules Transformer, Dense, Pooling are"),
        (("Transformer", "Pooling", "Normalize", "Dense"), "the modules Transformer, Pooling, Normalize, Dense are"),
        (("Transformer", "LSTM", "Pooling"), "'LSTM'"),
        (("Transformer",), "the modules Transformer are"),
        (("Pooling", "Normalize"), "the modules Pooling, Normalize are"),
        (("Transformer", "Normalize", "Pooling"), "the modules Transformer, Normalize, Pooling are"),
        (("Transformer", "Pooling", "WordWeights"), "WordWeights are"),
        (("Transformer", "Pooling", "Pooling"), "Pooling, Pooling are"),
    ],
)
def test_other_modules_and_orders_are_refused(kinds: tuple[str, ...], named: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=f"modules.json: .*{named} not supported|module {named} is not supported"):
        read_modules(make(tmp_path, *kinds))


def test_modules_that_take_each_others_place_or_are_not_there_are_refused(tmp_path: Path) -> None:
    """sentence-transformers keeps one module of a name."""
    folder = make(tmp_path)
    listing = json.loads((folder / "modules.json").read_text())
    write(folder / "modules.json", [{**module, "name": "0"} for module in listing])
    with pytest.raises(IntegrityError, match=r"modules\.json: two modules have the name '0'"):
        read_modules(folder)
    write(folder / "modules.json", [])
    with pytest.raises(IntegrityError, match=r"modules\.json: lists no modules"):
        read_modules(folder)


LEFT = {"direction": "Left", "pad_id": 0}


@pytest.mark.parametrize(
    ("files", "noted"),
    [
        (
            {"config": {"model_type": "bert", "torch_dtype": "float16"}},
            "config.json torch_dtype 'float16' (computed in float32)",
        ),
        ({"config": {"model_type": "bert", "dtype": "bfloat16"}}, "config.json dtype 'bfloat16' (computed in float32)"),
        (
            {"tokenizer_config": {"padding_side": "left"}},
            "tokenizer_config.json padding_side 'left' (each text is computed as if",
        ),
        ({"tokenizer_config": {"model_input_names": ["input_ids"]}}, "model_input_names ['input_ids'] (each text"),
        ({"sentence_bert_config": {"processor_kwargs": {"padding_side": "left"}}}, "processor_kwargs.padding_side 'left' (each"),
        ({"tokenizer": {"padding": LEFT}}, "tokenizer.json padding_side 'left' (each text"),
    ],
)
def test_settings_that_are_not_followed_are_mentioned_by_name(files: dict[str, Any], noted: str, tmp_path: Path) -> None:
    note = read_modules(make(tmp_path, **files)).note
    assert noted in note
    assert "\n" not in note


def test_settings_that_change_nothing_are_not_mentioned(tmp_path: Path) -> None:
    folder = make(
        tmp_path,
        config={"model_type": "bert", "torch_dtype": "float32", "dtype": None},
        tokenizer_config={"padding_side": "right", "model_input_names": ["input_ids", "attention_mask"]},
        tokenizer={"padding": LEFT},  # which the file beside it overrules
    )
    assert read_modules(folder).note == ""


def test_code_of_the_folder_is_refused_whatever_its_name(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"module 'custom_code\.Transformer' is not supported"):
        read_modules(make(tmp_path, prefix="custom_code."))


NAMES = ("bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet")


@pytest.mark.parametrize("kind", NAMES)
def test_every_old_name_of_the_length_file(kind: str, tmp_path: Path) -> None:
    folder = make(tmp_path, **{f"sentence_{kind}_config": {"max_seq_length": 16}, "tokenizer_config": {"model_max_length": 40}})
    assert read_modules(folder).max_length == 16


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({}, None),
        ({"tokenizer_config": {"model_max_length": 40}}, 40),
        ({"tokenizer_config": {"max_len": 40}}, 40),
        ({"tokenizer_config": {"model_max_length": 1e30}}, None),
        ({"sentence_bert_config": {"max_seq_length": None}, "tokenizer_config": {"model_max_length": 40}}, 40),
        ({"sentence_bert_config": {}, "sentence_xlnet_config": {"max_seq_length": 16}}, 16),
        ({"sentence_bert_config": {"max_seq_length": 9}, "sentence_xlnet_config": {"max_seq_length": 16}}, 9),
        ({"sentence_bert_config": {"max_seq_length": 9, "tokenizer_args": {"model_max_length": 7}}}, 7),
    ],
)
def test_the_longest_text(files: dict[str, Any], wanted: int | None, tmp_path: Path) -> None:
    assert read_modules(make(tmp_path, **files)).max_length == wanted


def test_files_of_sentence_transformers_count_only_beside_its_modules(tmp_path: Path) -> None:
    folder = make(tmp_path, sentence_bert_config={"max_seq_length": 16}, tokenizer_config={"model_max_length": 40})
    (folder / "modules.json").unlink()
    assert read_modules(folder) == SentenceTransformerModules(folder, max_length=40)


@pytest.mark.parametrize(
    ("side", "stored", "wanted"),
    [("left", None, "tail"), (None, "Left", "tail"), ("right", "Left", "head"), (None, "Right", "head"), (None, None, "head")],
)
def test_the_end_that_stays(side: str | None, stored: str | None, wanted: str, tmp_path: Path) -> None:
    folder = make(
        tmp_path,
        tokenizer_config={} if side is None else {"truncation_side": side},
        tokenizer={"truncation": stored and {"direction": stored, "max_length": 12}, "model": {"vocab": {"Left": 0}}},
    )
    assert read_modules(folder).truncate == wanted


@pytest.mark.parametrize(
    ("files", "named"),
    [
        ({"config_sentence_transformers": {"model_type": "SparseEncoder"}}, "model_type 'SparseEncoder'"),
        ({"sentence_bert_config": {"transformer_task": "fill-mask"}}, "transformer_task 'fill-mask'"),
        ({"sentence_bert_config": {"modality_config": {"message": {}}}}, "modality_config"),
        ({"sentence_bert_config": {"processing_kwargs": {"text": {"max_length": 4}}}}, "processing_kwargs"),
        ({"sentence_bert_config": {"processor_kwargs": {"do_lower_case": False}}}, "processor_kwargs.do_lower_case"),
        ({"sentence_bert_config": {"tokenizer_name_or_path": "other"}}, "tokenizer_name_or_path 'other'"),
        ({"sentence_bert_config": {"max_seq_length": "16"}}, "max_seq_length is not a number"),
        ({"tokenizer_config": {"truncation_side": "middle"}}, "truncation_side 'middle'"),
        ({"2_Normalize/config": {"module_input_name": "token_embeddings"}}, "module_input_name 'token_embeddings'"),
        ({"adapter_config": {}}, "adapter_config.json"),
    ],
)
def test_settings_that_would_change_vectors_are_refused_by_name(files: dict[str, Any], named: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=named):
        read_modules(make(tmp_path, *USUAL, "Normalize", **files))


def test_unknown_settings_are_mentioned_in_one_line(tmp_path: Path) -> None:
    folder = make(
        tmp_path,
        pooling={"shiny": 1},
        config_sentence_transformers={"__version__": {}, "flavour": 2},
        sentence_bert_config={"max_seq_length": 16, "scent": 3},
        strange={},
    )
    listing = json.loads((folder / "modules.json").read_text())
    write(folder / "modules.json", [{**listing[0], "kwargs": []}, {**listing[1], "weight": 2}])
    note = read_modules(folder).note
    for name in (
        "strange.json",
        "1_Pooling/config.json (shiny)",
        "config_sentence_transformers.json (flavour)",
        "(scent)",
        "modules.json (weight)",
    ):
        assert name in note
    assert "\n" not in note


def test_a_bare_model_for_next_tokens_is_pooled_by_its_last_token(tmp_path: Path) -> None:
    for config, wanted in (({}, "last"), ({"is_causal": False}, "mean"), ({"architectures": ["GPT2Model"]}, "mean")):
        write(tmp_path / "config.json", {"model_type": "gpt2", "architectures": ["GPT2ForCausalLM"], **config})
        assert read_modules(tmp_path).pooling == wanted
