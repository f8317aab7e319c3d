"""A real server and its clients, good and bad: limits, keys, the log, the end."""

from __future__ import annotations

import re
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SENTENCES
from http_client import Client, Reply, request_bytes

from mtlkit.inference.loaded_model import LoadedModel

EMBED = "/v1/embeddings"
SECRET = "a text that nobody else may read"
HELD = "mtlkit.inference.loaded_model:LoadedModel.vectors"


def lives(client: Client) -> bool:
    return client.get("/health").json == {"status": "ok", "model": "mtl"} and client.post(EMBED, {"input": "a"}).code == 200


def eventually(happens: Callable[[], Any]) -> bool:
    end = time.monotonic() + 30
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)
    return True


def later(client: Client, text: str) -> Any:
    """A request in a thread; its reply is the result."""
    return ThreadPoolExecutor(1).submit(client.post, EMBED, {"input": text})


def queued(client: Client) -> float:
    found = re.search(rb"^mtlkit_queue_tokens (.*)$", client.get("/metrics").body, re.MULTILINE)
    assert found
    return float(found[1])


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),  # a client that speaks TLS
        b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"\x00" * 5000,
    ],
)
def test_garbage_is_refused(client: Client, content: bytes) -> None:
    with suppress(ConnectionError):  # closed before it had sent everything
        assert client.raw(content).startswith((b"HTTP/1.1 400", b"HTTP/1.1 404"))
    assert lives(client)


def test_clients_that_hang_up_leave_nothing_behind(server: Any, client: Client) -> None:
    whole = request_bytes(EMBED, {"input": SENTENCES[:20]})
    for content in (b"", b"POST", whole[:40], request_bytes(EMBED, {"input": "a"}, declared=900), whole):
        client.connect(content).close()
    assert lives(client)
    assert eventually(lambda: queued(client) == 0)
    assert "internal error" not in server.log


@pytest.mark.parametrize("chunked", [False, True])
def test_10_mb_are_too_large(client: Client, chunked: bool) -> None:
    body = b'{"input": "' + b"a" * 10_000_000 + b'"}'
    pieces = (body[start : start + (1 << 20)] for start in range(0, len(body), 1 << 20))
    answer = client.send("POST", EMBED, pieces if chunked else body, Content_Type="application/json")
    assert answer.code == 413
    assert "65,536 bytes" in answer.error
    assert lives(client)


def test_a_declared_size_that_is_too_large_is_refused_before_the_body_comes(client: Client) -> None:
    assert client.raw(request_bytes("/v1/embeddings", {"input": "a"}, declared=99_999_999_999)).startswith(b"HTTP/1.1 413")


def test_other_paths_and_methods(client: Client) -> None:
    assert client.get("/v1/nothing").code == 404
    assert client.get("/predict").code == 405
    assert client.send("DELETE", EMBED).code == 405
    assert client.send("OPTIONS", EMBED).code == 405  # pages of other sites may not ask


def test_pages_and_descriptions_load_nothing_from_elsewhere(client: Client) -> None:
    for path in ("/", "/docs"):
        page = client.get(path)
        assert page.code == 200
        assert not re.search(rb"(src|href)=[\"']?(https?:)?//|@import|url\(", page.body)
        assert "default-src 'none'" in page.headers["content-security-policy"]
    described = client.get("/openapi.json").json["paths"]
    assert {EMBED, "/predict", "/similarity", "/v1/models", "/health", "/metrics"} == set(described)
    docs = client.get("/docs").body.decode()
    assert all(path in docs for path in described)
    assert "encoding_format" in docs
    model = client.get("/v1/models").json["data"][0]
    assert model["tasks"]["kind"] == {"kind": "classification", "labels": ["animal", "tool"], "reads": "texts"}


def test_metrics_count_requests_texts_and_tokens(client: Client) -> None:
    parser = pytest.importorskip("prometheus_client.parser")

    def counts() -> dict[Any, float]:
        families = parser.text_string_to_metric_families(client.get("/metrics").body.decode())
        return {(one.name, *sorted(one.labels.items())): one.value for family in families for one in family.samples}

    before = counts()
    tokens = client.post(EMBED, {"input": SENTENCES[:3]}).json["usage"]["total_tokens"]
    client.post(EMBED, {"input": []})
    after = counts()
    route = ("route", EMBED)
    grown = {key: after[key] - before.get(key, 0) for key in after}
    assert grown["mtlkit_requests_total", ("code", "200"), route] == 1
    assert grown["mtlkit_requests_total", ("code", "422"), route] == 1
    assert grown["mtlkit_texts_total", route] == 3
    assert grown["mtlkit_tokens_total", route] == grown["mtlkit_batch_tokens_sum",] == tokens
    assert after["process_resident_memory_bytes",] > 1e6


def test_many_clients_get_their_own_vectors(client: Client, loaded: LoadedModel) -> None:
    def ask(number: int) -> Reply:
        return client.post(EMBED, {"input": SENTENCES[number : number + 1 + number % 7]})

    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(ask, range(48)))
    for number, answer in enumerate(answers):
        vectors = [item["embedding"] for item in answer.json["data"]]
        np.testing.assert_allclose(vectors, loaded.embed(SENTENCES[number : number + 1 + number % 7]), atol=1e-5)


def test_no_text_is_logged_by_default(server: Any, client: Client) -> None:
    client.post(EMBED, {"input": SECRET})
    client.post("/predict", {"texts": [SECRET, 3]})
    client.post(EMBED, {"input": "a", SECRET: 1})
    client.get(f"/{SECRET}?q={SECRET}".replace(" ", "%20"))
    assert eventually(lambda: server.log.count("GET other 404") > 0)
    assert "nobody" not in server.log
    assert re.search(r"127.0.0.1 POST /v1/embeddings 200 [\d.]+ ms, 1 text, \d+ tokens", server.log)


def test_a_key_is_asked_for_and_texts_are_logged_on_request(keyed: Any) -> None:
    right = {"Authorization": "Bearer s3cret"}
    keyed.client.post(EMBED, {"input": [SECRET, "a\n\x1b[2Jb"]}, **right)
    assert eventually(lambda: f'["{SECRET}", "a\\n\\u001b[2Jb"]' in keyed.log)
    assert "s3cret" not in keyed.log
    for headers in ({}, {"Authorization": "s3cret"}, {"Authorization": "Bearer s3cre"}, {"Authorization": "Bearer s3cret2"}):
        refused = keyed.client.post(EMBED, {"input": "a"}, **headers)
        assert (refused.code, refused.headers["www-authenticate"]) == (401, "Bearer")
        assert keyed.client.get("/metrics", **headers).code == 401
    assert keyed.client.get("/metrics", Authorization="bearer s3cret").code == 200
    assert [keyed.client.get(path).code for path in ("/", "/docs", "/health", "/openapi.json")] == [200] * 4


def test_a_full_queue_a_slow_answer_and_the_end(serve: Any, runs: Path) -> None:
    """The model is held at its first batch, so what waits behind it can be arranged."""
    held = serve(runs / "mtl", "--queue-tokens", 30, "--timeout", 20, hold=HELD)
    first = later(held.client, "a cat")
    held.child.held()
    waiting = later(held.client, "word " * 20)
    assert eventually(lambda: queued(held.client) > 15)
    full = held.client.post(EMBED, {"input": "word " * 20})
    assert full.code == 429
    assert int(full.headers["retry-after"]) >= 1
    assert full.json["error"]["type"] == "rate_limit_error"
    assert held.client.get("/health").code == 200
    gone = held.client.connect(request_bytes(EMBED, {"input": "cat"}))
    before = queued(held.client)
    gone.close()
    assert eventually(lambda: queued(held.client) <= before)
    held.child.kill(signal.SIGTERM)
    refused = threading.Event()

    def closed() -> bool:
        try:
            held.client.get("/health")
        except OSError:
            refused.set()
        return refused.is_set()

    assert eventually(closed)
    assert held.child.code() is None
    held.child.release()
    assert first.result().code == waiting.result().code == 200  # both were under way
    assert held.child.wait() == 143
    assert held.log.rstrip().endswith("mtlkit: terminated")


def test_a_request_that_takes_too_long_fails(serve: Any, runs: Path) -> None:
    slow = serve(runs / "mtl", "--timeout", 0.3, hold=HELD)
    answer = slow.client.post(EMBED, {"input": "a cat"})
    assert (answer.code, answer.headers["retry-after"]) == (503, "1")
    assert "0.3 s" in answer.error
    with slow.client.connect(request_bytes(EMBED, {"input": "a"}, declared=900)) as late:
        assert late.recv(100).startswith(b"HTTP/1.1 408")
    slow.child.release()
    assert eventually(lambda: slow.client.post(EMBED, {"input": "a cat"}).code == 200)
    assert slow.stop(signal.SIGINT) == 130
