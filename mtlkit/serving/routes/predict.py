"""`POST /predict`: what every head says."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from mtlkit.inference.predictions import most_probable
from mtlkit.inference.routing import Prediction
from mtlkit.serving.answers import answer
from mtlkit.serving.errors import RequestError
from mtlkit.serving.schemas import PredictBody
from mtlkit.serving.service import Service, service_of

router = APIRouter(tags=["Predictions"])


@router.post("/predict")
async def predict(body: PredictBody, request: Request, service: Annotated[Service, Depends(service_of)]) -> Response:
    """Labels and calibrated probabilities of all heads in one pass, as from `mtlkit predict`: of heads that read single texts for
    `texts`, and of those that read pairs for `pairs`."""
    if (body.texts is None) == (body.pairs is None):
        raise RequestError(422, "send either texts or pairs", field="texts")
    pairs, field = body.pairs is not None, "texts" if body.pairs is None else "pairs"
    examples: Any = body.texts if body.pairs is None else list(map(tuple, body.pairs))
    service.check(body.model, examples, field)
    work = service.served.predict(examples, body.task, body.prompt, body.reject, pairs=pairs)
    computed = await service.within_limits(request, work)
    document = {"model": service.settings.name, "predictions": [shown(one, body.top_k) for one in computed.results]}
    return answer(request, document, computed, examples)


def shown(prediction: Prediction, top_k: int | None) -> dict[str, Any]:
    """A prediction as `mtlkit predict` prints it, without the text."""
    tasks = dict(prediction) if top_k is None else {name: most_probable(one, top_k) for name, one in prediction.items()}
    return {"tasks": tasks, **({"router": prediction.router} if prediction.router else {})}
