"""A client for tests of the server: whole requests, and raw bytes."""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any

SECONDS = 60.0  # that an answer may take before a test fails


@dataclass(frozen=True)
class Reply:
    """The answer to a request."""

    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """The message of an error, whose answer has the shape of OpenAI's."""
        error = self.json["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return str(error["message"])


@dataclass(frozen=True)
class Client:
    """Sends requests to a port of this machine."""

    port: int

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = connection.getresponse()
            return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.send("GET", path, **headers)

    def post(self, path: str, document: Any, **headers: str) -> Reply:
        """Posts JSON; bytes as they are."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.send("POST", path, body, **{"Content_Type": "application/json", **headers})

    def connect(self, content: bytes) -> socket.socket:
        """A connection on which these bytes have been sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), SECONDS)
        connection.sendall(content)
        return connection

    def raw(self, content: bytes) -> bytes:
        """What the server answers to these bytes until it closes the connection."""
        with self.connect(content) as connection:
            return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def request_bytes(path: str, document: Any, declared: int | None = None) -> bytes:
    """A POST request with a JSON body as it is sent; `declared` is the length that it claims to have."""
    body = json.dumps(document).encode()
    length = len(body) if declared is None else declared
    return b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        path.encode(),
        length,
        body,
    )
