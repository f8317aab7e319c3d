"""`POST /v1/embeddings` of a real server, with the client of OpenAI."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from conftest import SENTENCES
from http_client import Client

from mtlkit.inference.loaded_model import LoadedModel

TEXTS = [*SENTENCES[:5], "", "  ", "Ελλάς 日本 🦦", "\x00\x1b[31m [/] <eos>", "word " * 500]

openai: Any = pytest.importorskip("openai")


@pytest.fixture(scope="module")
def user(client: Client) -> Iterator[Any]:
    with openai.OpenAI(api_key="any", base_url=f"http://127.0.0.1:{client.port}/v1", max_retries=0) as user:
        yield user


@pytest.mark.parametrize("form", ["float", "base64", None])
def test_vectors_are_those_of_embed(user: Any, loaded: LoadedModel, form: str | None) -> None:
    """Without an encoding_format, the client itself asks for base64."""
    answer = user.embeddings.create(model="mtl", input=TEXTS, **({"encoding_format": form} if form else {}))
    vectors = [item.embedding for item in answer.data]
    if form == "base64":
        vectors = [np.frombuffer(base64.b64decode(vector), "<f4") for vector in vectors]
    np.testing.assert_allclose(vectors, loaded.embed(TEXTS), atol=1e-5)
    assert [item.index for item in answer.data] == list(range(len(TEXTS)))
    assert answer.object == "list"
    assert answer.model == "mtl"
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == len(loaded.encode(TEXTS).ids)


def test_a_string_and_its_first_dimensions(user: Any, loaded: LoadedModel) -> None:
    answer = user.embeddings.create(model="mtl", input="a cat", dimensions=7)
    np.testing.assert_allclose(answer.data[0].embedding, loaded.embed(["a cat"], dim=7)[0], atol=1e-5)
    normal = user.embeddings.create(model="mtl", input="a cat", extra_body={"normalize": True, "prompt": "The: "})
    expected = loaded.embed(["a cat"], normalize=True, prompt="The: ")[0]
    np.testing.assert_allclose(normal.data[0].embedding, expected, atol=1e-5)


def test_errors_are_those_that_the_client_knows(user: Any) -> None:
    with pytest.raises(openai.UnprocessableEntityError, match="token ids are not supported"):
        user.embeddings.create(model="mtl", input=[[1, 2, 3]])
    with pytest.raises(openai.NotFoundError, match="it has mtl") as error:
        user.embeddings.create(model="text-embedding-3-small", input="a")
    assert error.value.code == "model_not_found"
    assert [model.id for model in user.models.list()] == ["mtl"]


def test_long_texts_are_cut_and_counted(client: Client) -> None:
    answer = client.post("/v1/embeddings", {"input": ["word " * 500, "a cat"]})
    assert (answer.code, answer.headers["mtlkit-cut"]) == (200, "1")
    assert "mtlkit-cut" not in client.post("/v1/embeddings", {"input": "a cat"}).headers


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "input: Field required"),
        ({"input": []}, "empty"),
        ({"input": 3}, "token ids|a string or a list"),
        ({"input": [1, 2]}, "token ids"),
        ({"input": [[1, 2], [3]]}, "token ids"),
        ({"input": ["a", None]}, "item 1 is not a string"),
        ({"input": ["a", True]}, "item 1 is not a string"),
        ({"input": {"text": "a"}}, "a string or a list"),
        ({"input": "half a pair: \ud83e"}, "surrogate"),
        ({"input": ["a"] * 41}, "41 texts in one request; send 40"),
        ({"input": "a", "dimensions": 0}, "dimensions: .*greater"),
        ({"input": "a", "dimensions": 9999}, "dimensions: the vectors of this model have"),
        ({"input": "a", "dimensions": "7"}, "dimensions: .*integer"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format: .*base64"),
        ({"input": "a", "model": 7}, "model: .*string"),
        ({"input": "a", "task": "kinds"}, "no head 'kinds'; it has kind, state; did you mean 'kind'"),
        ({"inptu": "a"}, "inptu: no such field; did you mean 'input'"),
        ([], "not a JSON object"),
        (b"", "not a JSON object"),
        (b"{", "not valid JSON"),
        (b'{"input": "\xff"}', "not valid JSON"),
        (b"[" * 60_000, "not valid JSON"),
    ],
)
def test_a_wrong_body_gets_the_reason(client: Client, body: Any, message: str) -> None:
    answer = client.post("/v1/embeddings", body)
    assert answer.code == (400 if body in (b'{"input": "\xff"}', b"[" * 60_000) else 422)
    assert re.search(message, answer.error), answer.error


def test_a_body_that_is_not_declared_as_json_is_refused(client: Client) -> None:
    """A page of another site can make a browser send such a request without asking."""
    answer = client.post("/v1/embeddings", {"input": "a"}, Content_Type="text/plain")
    assert answer.code == 422
    assert "Content-Type" in answer.error
