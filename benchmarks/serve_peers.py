"""Servers of serve.py that have no command of their own: `python serve_peers.py st|litserve FOLDER PORT`."""

from __future__ import annotations

import os
import sys
from typing import Any


def st(folder: str, port: int) -> None:
    """sentence-transformers behind FastAPI, as tutorials show it: a request is a call of `encode` in a thread."""
    import torch
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    model = SentenceTransformer(folder, device="cpu")
    app = FastAPI()

    class Body(BaseModel):
        input: str | list[str]
        model: str | None = None

    @app.post("/v1/embeddings")
    def embeddings(body: Body) -> dict[str, Any]:
        texts = [body.input] if isinstance(body.input, str) else body.input
        vectors = model.encode(texts, show_progress_bar=False).tolist()
        return {"data": [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]}

    Body.model_rebuild(_types_namespace={"Any": Any})
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")


def litserve(folder: str, port: int) -> None:
    """mtlkit in LitServe, whose process for the model batches up to 64 requests that come within 5 ms."""
    import litserve as ls

    import mtlkit

    class Embeddings(ls.LitAPI):  # type: ignore[misc,name-defined,unused-ignore]
        def setup(self, device: str) -> None:
            self.model = mtlkit.load(folder, device="cpu")

        def decode_request(self, request: dict[str, Any]) -> list[str]:
            texts = request["input"]
            return [texts] if isinstance(texts, str) else texts

        def predict(self, batch: list[list[str]]) -> list[list[list[float]]]:
            vectors = self.model.embed([text for texts in batch for text in texts]).tolist()
            ends, start = [], 0
            for texts in batch:
                ends.append(vectors[start : start + len(texts)])
                start += len(texts)
            return ends

        def encode_response(self, output: list[list[float]]) -> dict[str, Any]:
            return {"data": [{"index": index, "embedding": vector} for index, vector in enumerate(output)]}

    api = Embeddings(max_batch_size=64, batch_timeout=0.005, api_path="/v1/embeddings")
    ls.LitServer(api, accelerator="cpu").run(host="127.0.0.1", port=port, generate_client_file=False)


if __name__ == "__main__":
    {"st": st, "litserve": litserve}[sys.argv[1]](sys.argv[2], int(sys.argv[3]))
