"""The side `st` of serve.py: sentence-transformers behind FastAPI, as tutorials show it. `python serve_st.py FOLDER PORT`"""

from __future__ import annotations

import os
import sys
from typing import Any

import torch
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
from sentence_transformers import SentenceTransformer

app = FastAPI()


class Body(BaseModel):
    """A request for vectors."""

    input: str | list[str]
    model: str | None = None


@app.post("/v1/embeddings")
def embeddings(body: Body) -> dict[str, Any]:
    """Runs in a thread for each request."""
    texts = [body.input] if isinstance(body.input, str) else body.input
    vectors = app.state.model.encode(texts, show_progress_bar=False).tolist()
    return {"data": [{"index": index, "embedding": vector} for index, vector in enumerate(vectors)]}


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    app.state.model = SentenceTransformer(sys.argv[1], device="cpu")
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[2]), log_level="warning")
