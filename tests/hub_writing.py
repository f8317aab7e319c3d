"""A hub on this machine that takes uploads, as far as huggingface_hub's real client asks for: repositories, large files, commits.

Its rules for metadata are those of https://github.com/huggingface/hub-docs/blob/main/modelcard.md.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import yaml

WRITER, READER = "hf_writer", "hf_reader"  # tokens: of the user `me`, and of somebody who may only read
LARGE = (".safetensors", ".onnx")
PIPELINES = {
    *("text-classification", "token-classification", "sentence-similarity"),
    *("text-generation", "fill-mask", "feature-extraction"),
}


@dataclass
class Stored:
    """A repository: content by name, and which of it is large."""

    private: bool
    files: dict[str, bytes] = field(default_factory=lambda: {".gitattributes": b"*.safetensors filter=lfs\n"})
    commits: int = 1

    @property
    def sha(self) -> str:
        return f"{self.commits:040x}"


@dataclass
class WritableHub:
    """The repositories, uploaded large objects by SHA-256, and how many commits are still to fail."""

    address: str = ""
    repositories: dict[str, Stored] = field(default_factory=dict)
    objects: dict[str, bytes] = field(default_factory=dict)
    failing_commits: int = 0
    requests: list[str] = field(default_factory=list)

    def check_metadata(self, content: str) -> list[str]:
        """What is wrong with the front matter of a card."""
        found = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        metadata = yaml.safe_load(found[1]) if found else {}
        errors = []
        for name in ("license", "pipeline_tag", "base_model"):
            if name in metadata and not isinstance(metadata[name], str):
                errors.append(f'"{name}" must be a string')
        if metadata.get("license") in ("apache", "proprietary"):
            errors.append('"license" must be one of [apache-2.0, mit, ...]')
        if metadata.get("pipeline_tag", "fill-mask") not in PIPELINES:
            errors.append('"pipeline_tag" is unknown')
        for name in ("language", "tags", "datasets", "metrics"):
            if not all(isinstance(value, str) and re.fullmatch(r"[\w./@ -]+", value) for value in metadata.get(name) or ()):
                errors.append(f'"{name}" must be a list of names')
        for model in metadata.get("model-index") or ():
            for result in model["results"]:
                if not (result["task"].get("type") and result["dataset"].get("type") and result["dataset"].get("name")):
                    errors.append('"model-index" lacks a task or a data set')
                if not all(metric.get("type") and "value" in metric for metric in result["metrics"]):
                    errors.append('"model-index" lacks a metric')
        return errors


def git_oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def sibling(name: str, content: bytes) -> dict[str, Any]:
    """What the hub says of a file."""
    digest = hashlib.sha256(content).hexdigest()
    large = {"lfs": {"size": len(content), "sha256": digest, "oid": digest, "pointerSize": 130}}
    return {"rfilename": name, "size": len(content), "blobId": git_oid(content)} | (large if name.endswith(LARGE) else {})


def handler(hub: WritableHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Logs nothing."""

        def answer(self, status: int, content: Any = b"", **headers: str) -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def body(self) -> bytes:
            if self.headers.get("Transfer-Encoding") == "chunked":
                chunks = []
                while size := int(self.rfile.readline(), 16):
                    chunks.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(chunks)
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        @property
        def token(self) -> str:
            return self.headers.get("Authorization", "").removeprefix("Bearer ")

        def refused(self, owner: str | None = None) -> bool:
            """Answers for a wrong token, or one that may not write for an owner."""
            if self.token not in ("", WRITER, READER):
                message = "Invalid credentials in Authorization header"
                self.answer(401, {"error": message}, X_Error_Message=message)
            elif owner is not None and (self.token != WRITER or owner != "me"):
                self.answer(403 if self.token else 401, {"error": "no write access"}, X_Error_Message="no write access")
            else:
                return False
            return True

        def found(self, name: str) -> Stored | None:
            stored = hub.repositories.get(name)
            if stored is None or (stored.private and self.token != WRITER):
                self.answer(404 if self.token else 401, {"error": "Repository not found"}, X_Error_Code="RepoNotFound")
                return None
            return stored

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if self.refused():
                return
            if api := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(tree|revision)/.*)?", path):
                if (stored := self.found(api[1])) is None:
                    return
                files = [sibling(name, content) for name, content in sorted(stored.files.items())]
                if api[2] == "tree":
                    self.answer(
                        200, [{**file, "type": "file", "path": file["rfilename"], "oid": file["blobId"]} for file in files]
                    )
                else:
                    more = {"private": stored.private, "sha": stored.sha, "tags": [], "siblings": files}
                    self.answer(200, {"id": api[1], "modelId": api[1], **more})
            elif named := re.fullmatch(r"/([^/]+/[^/]+)/resolve/[^/]+/(.+)", path):
                if (stored := self.found(named[1])) is None:
                    return
                if (content := stored.files.get(named[2])) is None:
                    self.answer(404, X_Error_Code="EntryNotFound")
                else:
                    tag = hashlib.sha256(content).hexdigest()
                    self.answer(200, content, ETag=f'"{tag}"', X_Repo_Commit=stored.sha)
            else:
                self.answer(404)

        def do_PUT(self) -> None:
            content = self.body()
            hub.objects[hashlib.sha256(content).hexdigest()] = content
            self.answer(200)

        def do_POST(self) -> None:
            path, content = self.path.partition("?")[0], self.body()
            hub.requests.append(path)
            if path == "/api/repos/create":
                self.create(json.loads(content))
            elif path == "/api/validate-yaml":
                errors = hub.check_metadata(json.loads(content)["content"])
                told = {"errors": [{"message": error} for error in errors], "warnings": []}
                self.answer(400 if errors else 200, told)
            elif large := re.fullmatch(r"/([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
                if not self.refused(large[1].partition("/")[0]):
                    self.answer(200, {"transfer": "basic", "objects": [*map(self.upload, json.loads(content)["objects"])]})
            elif named := re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", path):
                if self.refused(named[1].partition("/")[0]) or (stored := self.found(named[1])) is None:
                    return
                if named[2] == "preupload":
                    self.answer(200, {"files": [self.mode(file["path"]) for file in json.loads(content)["files"]]})
                else:
                    self.commit(stored, [json.loads(line) for line in content.splitlines()], named[1])
            else:
                self.answer(404)

        def create(self, asked: dict[str, Any]) -> None:
            name = f"{asked['organization']}/{asked['name']}"
            if self.refused(asked["organization"]):
                return
            if name in hub.repositories:
                self.answer(409, {"error": "You already created this model repo", "url": f"{hub.address}/{name}"})
                return
            hub.repositories[name] = Stored(asked.get("visibility") == "private" or bool(asked.get("private")))
            self.answer(200, {"url": f"{hub.address}/{name}", "name": name})

        def upload(self, asked: dict[str, Any]) -> dict[str, Any]:
            about = {"oid": asked["oid"], "size": asked["size"]}
            href = f"{hub.address}/lfs/{asked['oid']}"
            return about if asked["oid"] in hub.objects else {**about, "actions": {"upload": {"href": href, "header": {}}}}

        @staticmethod
        def mode(name: str) -> dict[str, Any]:
            return {"path": name, "uploadMode": "lfs" if name.endswith(LARGE) else "regular", "shouldIgnore": False}

        def commit(self, stored: Stored, lines: list[dict[str, Any]], name: str) -> None:
            header, *changes = lines
            if hub.failing_commits:
                hub.failing_commits -= 1
                self.answer(500, {"error": "internal error"})
                return
            if header["value"].get("parentCommit", stored.sha) != stored.sha:
                self.answer(412, {"error": "A commit has happened since"})
                return
            for change in changes:
                value = change["value"]
                if change["key"] == "file":
                    stored.files[value["path"]] = base64.b64decode(value["content"])
                elif change["key"] == "lfsFile":
                    stored.files[value["path"]] = hub.objects[value["oid"]]
                else:
                    del stored.files[value["path"]]
            stored.commits += 1
            told = {"commitUrl": f"{hub.address}/{name}/commit/{stored.sha}", "commitOid": stored.sha}
            self.answer(200, {**told, "pullRequestUrl": None})

    return Handler


@contextmanager
def writable_hub() -> Iterator[WritableHub]:
    """A hub without repositories."""
    hub = WritableHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    server.daemon_threads = True
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
