"""Prompts, lengths and poolings in combination: the vectors that sentence-transformers gives, before and after an export."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wrapped import Wrap

from mtlkit.errors import IntegrityError
from mtlkit.inference.load_model import load
from mtlkit.model.interop.modules import read_modules

sentence_transformers: Any = pytest.importorskip("sentence_transformers")
pytestmark = pytest.mark.filterwarnings("ignore")  # of other libraries

KINDS = ("bert", "roberta")
PROMPTS = {"query": "query: ", "passage": "a passage to look for:", "none at all": ""}
TEXTS = ["guitar", "", "A man is playing a guitar.", "x" * 5, "the striker scored twice before the interval " * 6]


def reference(folder: Path, texts: list[str] = TEXTS, **asked: Any) -> Any:
    model = sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    return model.encode(texts, show_progress_bar=False, **asked)


POOLINGS, INCLUDES, DEFAULTS, DIMS = ("mean", "cls"), (True, False), (None, "query", "passage"), (None, 7)
COMBINED = [
    {"pooling": pooling, "include_prompt": include, "default_prompt_name": default, "truncate_dim": dim, "normalize": dim is None}
    for pooling, include, default, dim in product(POOLINGS, INCLUDES, DEFAULTS, DIMS)
]


def by_hand(settings: dict[str, Any]) -> bool:
    """Whether a combination is one of the half that `-m slow` adds; the others have every pair of values."""
    places = POOLINGS.index(settings["pooling"]), INCLUDES.index(settings["include_prompt"])
    return (sum(places) + DEFAULTS.index(settings["default_prompt_name"]) + DIMS.index(settings["truncate_dim"])) % 2 == 1


@pytest.mark.parametrize(
    ("number", "settings"),
    [
        pytest.param(number, settings, marks=[pytest.mark.slow] if by_hand(settings) else [], id=f"{number}-{settings}")
        for number, settings in enumerate(COMBINED)
    ],
)
def test_every_combination_gives_the_vectors_of_the_library(number: int, settings: dict[str, Any], wrap: Wrap) -> None:
    """By default, by the name of a prompt, by a text, and without one."""
    kind = KINDS[(number ^ number >> 1 ^ number >> 2 ^ number >> 3) & 1]  # each value of each setting with both
    folder = wrap(kind, prompts=PROMPTS, dropout=kind == "bert", **settings)
    model = load(folder)
    assert model.dim == (settings["truncate_dim"] or 32)
    library = sentence_transformers.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    for mine, theirs in (
        ({}, {}),
        ({"prompt": "passage"}, {"prompt_name": "passage"}),
        ({"prompt": "In a word, "}, {"prompt": "In a word, "}),
        ({"prompt": ""}, {"prompt": ""}),
    ):
        wanted = library.encode(TEXTS, show_progress_bar=False, **theirs)
        np.testing.assert_allclose(model.embed(TEXTS, **mine), wanted, atol=1e-5)  # type: ignore[arg-type]
        alone = np.concatenate([model.embed([text], **mine) for text in TEXTS])  # type: ignore[arg-type]
        np.testing.assert_allclose(alone, wanted, atol=1e-5)


def test_a_prompt_as_long_as_the_model_reads(wrap: Wrap) -> None:
    """The last token is all that is left to pool, as in the library."""
    folder = wrap(prompts={"long": "many words " * 40}, default_prompt_name="long", include_prompt=False)
    np.testing.assert_allclose(load(folder).embed(TEXTS), reference(folder), atol=1e-5)


def test_an_end_that_the_library_takes_for_a_token_of_the_prompt_is_refused(wrap: Wrap) -> None:
    """A class without defaults whose last token is not named: the library would drop a token of the text."""
    folder = wrap(prompts=PROMPTS, include_prompt=False)
    (folder / "special_tokens_map.json").unlink(missing_ok=True)
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 40, "pad_token": "[PAD]"}))
    with pytest.raises(IntegrityError, match=r"tokenizer_config\.json: include_prompt false is not supported .*\[SEP\]"):
        load(folder)
    path.write_text(json.dumps({**json.loads(path.read_text()), "sep_token": "[SEP]"}))
    np.testing.assert_allclose(load(folder).embed(TEXTS, prompt="query"), reference(folder, prompt_name="query"), atol=1e-5)


@pytest.mark.parametrize("similarity", ["cosine", "dot", "euclidean", "manhattan"])
def test_the_similarity_function_is_read(similarity: str, wrap: Wrap) -> None:
    assert load(wrap(similarity_fn_name=similarity)).checkpoint.vectors.similarity == similarity


def change(folder: Path, **values: Any) -> Path:
    path = folder / "config_sentence_transformers.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))
    return folder


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"similarity_fn_name": "maxsim"}, "similarity_fn_name 'maxsim' is not supported; supported: cosine, dot"),
        ({"default_prompt_name": "qury", "prompts": {"query": "q"}}, "default_prompt_name 'qury' .*did you mean 'query'"),
        ({"default_prompt_name": 3}, "default_prompt_name 3 "),
        ({"prompts": ["query"]}, "prompts is not an object of texts"),
        ({"prompts": {"query": 4}}, "prompts is not an object of texts"),
        ({"truncate_dim": -1}, "truncate_dim -1 is not supported"),
        ({"truncate_dim": 2.5}, r"truncate_dim 2\.5 is not supported"),
        ({"truncate_dim": True}, "truncate_dim True is not supported"),
    ],
)
def test_settings_that_make_no_sense_are_refused_by_name(values: dict[str, Any], named: str, wrap: Wrap) -> None:
    with pytest.raises(IntegrityError, match=rf"config_sentence_transformers\.json: .*{named}"):
        read_modules(change(wrap(), **values))


def test_prompts_that_are_null_or_named_by_default_alone(wrap: Wrap) -> None:
    for values in ({"prompts": {"query": None}, "default_prompt_name": "query"}, {"default_prompt_name": "document"}):
        folder = change(wrap(), **values)
        assert load(folder).encoder.prompt == ""
        np.testing.assert_allclose(load(folder).embed(TEXTS), reference(folder), atol=1e-5)
