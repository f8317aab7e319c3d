"""The code of model cards that labels words: which token of a text stands for each word, and how tags are decoded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mtlkit.config.architecture import TaskSpec
from mtlkit.model.heads.tag_sequences import log_marginals, viterbi
from mtlkit.model.interop.word_heads import best_paths, label_words
from mtlkit.tasks.tag_decoding import allowed_table

TOKENS = 6  # of each text below, the special ones included


class Tokens(dict[str, torch.Tensor]):
    """What a tokenizer gives."""

    def to(self, device: str) -> Tokens:
        return self


class Stub:
    """A model whose state of a token is a one at the number of the token."""

    prompts, default_prompt_name, device = {"query": "q: "}, "query", "cpu"

    def __init__(self, places: list[tuple[int, int]]) -> None:
        """places: of the tokens of the text, without those of the prompt."""
        moved = [(0, 0), (0, 2), *((first + 3, last + 3) for first, last in places)]
        self.places = torch.tensor([*moved, *[(0, 0)] * (TOKENS - len(moved))])

    def tokenizer(self, text: str, **options: Any) -> Tokens:
        assert text.startswith("q: ")
        return Tokens(offset_mapping=self.places[None])

    def __getitem__(self, module: int) -> Any:
        return lambda _: {"token_embeddings": torch.eye(TOKENS)[None]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A head whose tag of a word is the number of the token that it reads."""
    task = {"name": "t", "head": "linear", "layers": ["t.0"], "labels": [*map(str, range(TOKENS))], "tags": "plain"}
    heads = {"tasks": [{**task, "spread": 1.0, "center": 0.0}], "words": r"\w+|[^\w\s]"}
    (tmp_path / "heads.json").write_text(json.dumps(heads))
    edge = TOKENS + 1
    save_file(
        {"t.0.weight": torch.eye(TOKENS), "t.0.bias": torch.zeros(TOKENS), "t.allowed": torch.zeros(edge, edge)},
        tmp_path / "heads.safetensors",
    )
    return tmp_path


@pytest.mark.parametrize(
    ("text", "places", "read"),
    [
        ("ab cd", [(0, 1), (1, 2), (3, 5)], {"ab": 2, "cd": 4}),
        ("ab cd", [(0, 2), (2, 5)], {"ab": 2, "cd": 3}),  # with the blank before it
        ("ab cd", [(0, 2), (2, 3), (3, 5)], {"ab": 2, "cd": 3}),  # a token of the blank
        ("[x]", [(0, 3)], {"[": 2, "x": 2, "]": 2}),  # one token
        ("ab!c", [(0, 2), (2, 3), (2, 4), (3, 4)], {"ab": 2, "!": 3, "c": 5}),
        ("ab - cd", [(0, 2), (5, 7)], {"ab": 2, "cd": 3}),  # the tokenizer drops the dash
        ("ab cd ef", [(0, 2), (3, 5)], {"ab": 2, "cd": 3}),  # cut
        ("", [], {}),
    ],
)
def test_words_are_read_at_their_first_tokens(
    text: str, places: list[tuple[int, int]], read: dict[str, int], folder: Path
) -> None:
    words, labels = label_words(str(folder), Stub(places), text)
    tags, probabilities = labels["t"]
    assert {text[start:end]: int(tag) for (start, end), tag in zip(words, tags, strict=True)} == read
    assert probabilities.shape == (len(read), TOKENS)


def test_paths_and_marginals_are_those_of_the_model() -> None:
    random = np.random.default_rng(0)
    scores, learned = random.normal(size=(7, 3)), random.normal(size=(4, 4))
    begins = np.arange(7) == 0
    allowed = allowed_table(TaskSpec("t", "tokens", ("O", "B-X", "I-X"), tags="bio"))
    best = best_paths(torch.from_numpy(scores), torch.from_numpy(allowed), torch.amax).argmax(-1)
    assert best.tolist() == viterbi(scores, begins, allowed).tolist()
    sums = best_paths(torch.from_numpy(scores), torch.from_numpy(learned), torch.logsumexp).log_softmax(-1)
    np.testing.assert_allclose(sums, log_marginals(scores, begins, learned), rtol=1e-5)
