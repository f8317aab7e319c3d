"""The side `litserve` of serve.py: mtlkit in LitServe. The process of its model batches up to 64 requests that come within 5 ms.

`python serve_litserve.py FOLDER PORT`
"""

from __future__ import annotations

import sys
from typing import Any

import litserve

import mtlkit


class Embeddings(litserve.LitAPI):  # type: ignore[misc]
    """A request is decoded to a list of texts, and answered with their vectors."""

    def setup(self, device: str) -> None:
        self.model = mtlkit.load(self.folder, device="cpu")

    def decode_request(self, request):  # type: ignore[no-untyped-def]  # LitServe would make a query of an annotation
        texts = request["input"]
        return [texts] if isinstance(texts, str) else texts

    def predict(self, batch: list[list[str]]) -> list[list[list[float]]]:
        vectors = self.model.embed([text for texts in batch for text in texts]).tolist()
        parts, start = [], 0
        for texts in batch:
            parts.append(vectors[start : start + len(texts)])
            start += len(texts)
        return parts

    def encode_response(self, output: list[list[float]]) -> dict[str, Any]:
        return {"data": [{"index": index, "embedding": vector} for index, vector in enumerate(output)]}


if __name__ == "__main__":
    api = Embeddings(max_batch_size=64, batch_timeout=0.005, api_path="/v1/embeddings")
    api.folder = sys.argv[1]
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False)
