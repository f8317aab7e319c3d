"""A hub on this machine, as far as a download asks for: it may stop in the middle of a file, or never answer."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

REVISION = "1" * 40


@contextmanager
def hub(folder: Path, name: str, cut: str = "") -> Iterator[str]:
    """The address of a hub with the files of `folder` as the model `name`; of the file `cut` it sends half, again and again."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Logs nothing."""

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, *, body: bool) -> None:
            path = self.path.partition("?")[0]
            file_name = path.partition("/resolve/")[2].partition("/")[2]
            if path.startswith(f"/api/models/{name}"):
                files = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())
                if "/tree/" in path:
                    listing: Any = [self.entry(folder, file) for file in files]
                else:
                    siblings = [{"rfilename": file} for file in files]
                    listing = {"id": name, "modelId": name, "sha": REVISION, "private": False, "tags": [], "siblings": siblings}
                self.send(json.dumps(listing).encode(), "application/json", body=body)
            elif path.startswith(f"/{name}/resolve/") and (folder / file_name).is_file():
                self.send((folder / file_name).read_bytes(), "application/octet-stream", body=body, half=file_name == cut)
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound" if name not in path else "EntryNotFound")
                self.send_header("Content-Length", "0")
                self.end_headers()

        @staticmethod
        def entry(folder: Path, file: str) -> dict[str, Any]:
            content = (folder / file).read_bytes()
            return {"type": "file", "path": file, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}

        def send(self, content: bytes, kind: str, *, body: bool, half: bool = False) -> None:
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0] or 0)
            self.send_response(206 if start else 200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content) - start))
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", REVISION)
            self.send_header("Accept-Ranges", "bytes")
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if body and half:
                self.wfile.write(content[start : start + (len(content) - start) // 2])
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True
            elif body:
                self.wfile.write(content[start:])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def mute() -> Iterator[str]:
    """The address of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
