"""`POST /similarity`: the nearest of some texts."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from mtlkit.inference.similarity import scaled_for, similarities_of_scaled, truncate
from mtlkit.serving.answers import answer
from mtlkit.serving.schemas import SimilarityBody
from mtlkit.serving.service import Service, service_of

router = APIRouter(tags=["Vectors"])


@router.post("/similarity")
async def similarity(body: SimilarityBody, request: Request, service: Annotated[Service, Depends(service_of)]) -> Response:
    """How similar each candidate is to a text, by the model's own measure, the most similar first."""
    service.check(body.model, body.candidates, "candidates")
    texts = [body.text, *body.candidates]
    computed = await service.within_limits(request, service.served.embed(texts, None, body.prompt))
    kind = service.loaded.checkpoint.vectors.similarity
    scaled = scaled_for(truncate(computed.results, service.settings.dim), kind)
    scores = similarities_of_scaled(scaled[:1], scaled[1:], kind)[0]
    best = np.argsort(-scores, kind="stable")[: body.top_k]
    results = [{"index": int(index), "score": float(scores[index])} for index in best]
    return answer(request, {"model": service.settings.name, "similarity": kind, "results": results}, computed, texts)
