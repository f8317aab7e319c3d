"""Counts for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
TOKENS = (8, 32, 128, 512, 1024, 2048, 4096, 8192, 16384, 65536)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The counts of one server. An `Observer` of its batcher."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter("mtlkit_requests", "Requests.", ["route", "code"], registry=self.registry)
        self.seconds = Histogram("mtlkit_request_seconds", "Time to answer.", ["route"], buckets=SECONDS, registry=self.registry)
        self.running = Gauge("mtlkit_requests_running", "Requests that are being answered.", registry=self.registry)
        self.texts = Counter("mtlkit_texts", "Texts of answered requests.", ["route"], registry=self.registry)
        self.tokens = Counter("mtlkit_tokens", "Tokens of answered requests.", ["route"], registry=self.registry)
        self.queue = Gauge("mtlkit_queue_tokens", "Tokens that wait to be computed.", registry=self.registry)
        self.batch_tokens = Histogram("mtlkit_batch_tokens", "Tokens of a batch.", buckets=TOKENS, registry=self.registry)
        self.batch_seconds = Counter("mtlkit_batch_seconds", "Time in the model.", registry=self.registry)

    def watch_queue(self, queued: Callable[[], float]) -> None:
        """Asks for the number of waiting tokens whenever the metrics are read."""
        self.queue.set_function(queued)

    def batch(self, tokens: int, pieces: int, seconds: float) -> None:
        self.batch_tokens.observe(tokens)
        self.batch_seconds.inc(seconds)

    def request(self, route: str, code: int, seconds: float, texts: int, tokens: int) -> None:
        self.requests.labels(route, code).inc()
        self.seconds.labels(route).observe(seconds)
        if texts:
            self.texts.labels(route).inc(texts)
            self.tokens.labels(route).inc(tokens)

    def text(self) -> bytes:
        """The metrics in the text format of Prometheus."""
        return generate_latest(self.registry)
