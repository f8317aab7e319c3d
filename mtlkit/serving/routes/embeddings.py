"""`POST /v1/embeddings`, as OpenAI's API defines it, and `GET /v1/models`."""

from __future__ import annotations

import base64
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from numpy.typing import NDArray

from mtlkit.inference.similarity import normalize_rows, truncate
from mtlkit.serving.answers import answer
from mtlkit.serving.schemas import EmbeddingsBody
from mtlkit.serving.service import Service, service_of

router = APIRouter(tags=["Vectors"])


@router.post("/v1/embeddings")
async def embeddings(body: EmbeddingsBody, request: Request, service: Annotated[Service, Depends(service_of)]) -> Response:
    """Vectors of texts, as from `mtlkit embed`. Texts longer than the model reads are cut; the header `mtlkit-cut` counts
    them."""
    service.check(body.model, body.input, "input")
    dim = service.dim(body.dimensions)
    computed = await service.within_limits(request, service.served.embed(body.input, body.task, body.prompt))
    vectors = truncate(computed.results, dim)
    if service.settings.normalize if body.normalize is None else body.normalize:
        vectors = normalize_rows(vectors)
    data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(shown(vectors, body))]
    document = {"object": "list", "data": data, "model": service.settings.name}
    return answer(request, document, computed, body.input)


def shown(vectors: NDArray[np.float32], body: EmbeddingsBody) -> list[Any]:
    """The rows of vectors as JSON has them."""
    if body.encoding_format == "base64":
        little = vectors.astype("<f4", copy=False)
        return [base64.b64encode(row.tobytes()).decode("ascii") for row in little]
    return list(vectors)


@router.get("/v1/models")
async def models(service: Annotated[Service, Depends(service_of)]) -> JSONResponse:
    """The served model; its heads, the width of its vectors, and the number of tokens that it reads of a text."""
    loaded = service.loaded
    model = {
        "id": service.settings.name,
        "object": "model",
        "created": 0,
        "owned_by": "mtlkit",
        "dimensions": service.settings.dim,
        "max_tokens": loaded.encoder.encoding.max_length,
        "tasks": {
            name: {"kind": spec.kind, "labels": list(spec.labels), "reads": "pairs" if spec.reads(pairs=True) else "texts"}
            for name, spec in loaded.specs.items()
        },
    }
    return JSONResponse({"object": "list", "data": [model]})
