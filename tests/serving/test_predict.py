"""`POST /predict` and `POST /similarity` of a real server."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest
from conftest import SENTENCES
from http_client import Client

from mtlkit.inference.loaded_model import LoadedModel

TEXTS = [*SENTENCES[:3], *SENTENCES[-3:], "", "日本 🦦"]


def same(answer: Any, expected: Any) -> None:
    """Equal documents, numbers up to the noise of a float32."""
    if isinstance(expected, dict):
        assert list(answer) == list(expected)
        for name, value in expected.items():
            same(answer[name], value)
    elif isinstance(expected, float):
        assert answer == pytest.approx(expected, abs=1e-5)
    else:
        assert answer == expected


@pytest.mark.parametrize("more", [{}, {"task": "kind"}, {"reject": "auto"}, {"reject": 0.2, "prompt": "The: "}])
def test_predictions_are_those_of_predict(client: Client, loaded: LoadedModel, more: dict[str, Any]) -> None:
    answer = client.post("/predict", {"texts": TEXTS, **more})
    assert answer.code == 200, answer.body
    for given, expected in zip(answer.json["predictions"], loaded.predict(TEXTS, **more), strict=True):
        same(given["tasks"], json.loads(json.dumps(dict(expected))))
    assert answer.json["model"] == "mtl"
    assert answer.json["usage"]["total_tokens"] > len(TEXTS)


def test_only_the_most_probable_labels(client: Client) -> None:
    answer = client.post("/predict", {"texts": "The cat sleeps near the river.", "top_k": 1}).json["predictions"][0]["tasks"]
    assert set(answer) == {"kind", "state"}
    for one in answer.values():
        assert one["probabilities"] == {one["label"]: one["probability"]}


def test_the_nearest_text_comes_first(client: Client, loaded: LoadedModel) -> None:
    candidates = [SENTENCES[-1], SENTENCES[1], "日本"]
    answer = client.post("/similarity", {"text": SENTENCES[0], "candidates": candidates}).json
    vectors = loaded.embed([SENTENCES[0], *candidates], normalize=True)
    scores = vectors[1:] @ vectors[0]
    assert [one["index"] for one in answer["results"]] == np.argsort(-scores).tolist()
    np.testing.assert_allclose([one["score"] for one in answer["results"]], sorted(scores, reverse=True), atol=1e-5)
    assert answer["similarity"] == "cosine"
    best = client.post("/similarity", {"text": SENTENCES[0], "candidates": candidates, "top_k": 1}).json
    assert best["results"] == answer["results"][:1]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "either texts or pairs"),
        ({"texts": "a", "pairs": [["a", "b"]]}, "either texts or pairs"),
        ({"texts": []}, "empty"),
        ({"texts": [3.5]}, "item 0 is not a string"),
        ({"pairs": [["a", "b"]]}, "the heads of mtl .* read single texts"),
        ({"pairs": [["a"]]}, "item 0 is not a list of two strings"),
        ({"pairs": [["a", "\udc00"]]}, "surrogate"),
        ({"texts": "a", "task": "kin"}, "no head 'kin'; .*did you mean 'kind'"),
        ({"texts": "a", "top_k": 0}, "top_k: .*greater"),
        ({"texts": "a", "top_k": 1.5}, "top_k: .*integer"),
        ({"texts": "a", "reject": 1}, "reject: .*from 0 up to 1"),
        ({"texts": "a", "reject": float("nan")}, "reject: .*from 0 up to 1"),
        ({"texts": "a", "reject": True}, "reject: .*from 0 up to 1"),
    ],
)
def test_a_wrong_body_gets_the_reason(client: Client, body: Any, message: str) -> None:
    answer = client.post("/predict", body)
    assert answer.code == 422
    assert re.search(message, answer.error), answer.error
