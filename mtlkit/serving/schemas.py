"""The bodies of requests. Fields that do not exist are errors; no message repeats a value."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError

TOKEN_IDS = (
    "token ids are not supported, as they depend on a client's tokenizer; send strings (in LangChain: "
    "OpenAIEmbeddings(check_embedding_ctx_length=False))"
)


def valid(text: str) -> str:
    """The text. Raises ValueError for halves of surrogate pairs, which JSON can have and UTF-8 cannot."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair is not valid Unicode") from None
    return text


def as_texts(value: Any) -> Any:
    """A string or list of strings as a list. Raises ValueError that names the first item that is not a string."""
    if isinstance(value, str):
        return [valid(value)]
    if not isinstance(value, list):
        raise ValueError("expected a string or a list of strings")
    if not value:
        raise ValueError("the list is empty; send at least one text")
    for index, item in enumerate(value):
        if isinstance(item, int | float | list) and not isinstance(item, bool) and token_ids(item):
            raise ValueError(TOKEN_IDS)
        if not isinstance(item, str):
            raise ValueError(f"item {index} is not a string")
        valid(item)
    return value


def token_ids(item: int | float | list[Any]) -> bool:
    return isinstance(item, int) or (isinstance(item, list) and bool(item) and all(type(one) is int for one in item))


def as_pairs(value: Any) -> Any:
    if not isinstance(value, list) or not value:
        raise ValueError("expected a list of pairs of strings, with at least one")
    for index, item in enumerate(value):
        if not isinstance(item, list) or len(item) != 2 or not all(isinstance(text, str) for text in item):
            raise ValueError(f"item {index} is not a list of two strings")
        for text in item:
            valid(text)
    return value


def as_reject(value: Any) -> Any:
    """A share of texts, or "auto"."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and 0 <= value < 1
    if value is None or value == "auto" or number:
        return value
    raise ValueError('expected "auto" or a number from 0 up to 1, such as 0.05')


Texts = Annotated[list[str], BeforeValidator(as_texts, json_schema_input_type=str | list[str])]
Pairs = Annotated[list[list[str]], BeforeValidator(as_pairs)]
Share = Annotated[float | Literal["auto"] | None, BeforeValidator(as_reject, json_schema_input_type=float | Literal["auto"])]
Text = Annotated[str, AfterValidator(valid)]
Task = Annotated[str | None, Field(description="The name of a task.")]
Prompt = Annotated[
    Text | None, Field(description="Text before every input: the name of one of the model's prompts, a text, or none.")
]
Model = Annotated[str | None, Field(description="The name of the model; others are refused.")]


class Body(BaseModel):
    """A JSON object with known fields."""

    model_config = ConfigDict(extra="forbid", strict=True)

    model: Model = None

    @model_validator(mode="before")
    @classmethod
    def known(cls, value: Any) -> Any:
        """Refuses an unknown field, with the names of the known ones for a suggestion."""
        unknown = [name for name in value if name not in cls.model_fields] if isinstance(value, dict) else []
        if not unknown:
            return value
        error = PydanticCustomError("extra_forbidden", "no such field", {"fields": tuple(cls.model_fields)})
        raise ValidationError.from_exception_data(cls.__name__, [InitErrorDetails(type=error, loc=(unknown[0],), input=None)])


class EmbeddingsBody(Body):
    """Texts to turn into vectors, as OpenAI's API has it; `task`, `prompt` and `normalize` are of mtlkit."""

    input: Texts = Field(description="A text, or a list of texts.")
    encoding_format: Literal["float", "base64"] = Field("float", description="base64: float32, little-endian.")
    dimensions: int | None = Field(None, ge=1, description="Keep the first numbers of each vector.")
    user: str | None = Field(None, description="Ignored.")
    task: Task = None
    prompt: Prompt = None
    normalize: bool | None = Field(None, description="Scale vectors to length 1; by default what the server was started with.")


class PredictBody(Body):
    """Texts, or pairs of texts, to predict for with every head."""

    texts: Texts | None = Field(None, description="A text, or a list of texts.")
    pairs: Pairs | None = Field(None, description="Pairs of texts, for heads that read these.")
    task: Task = None
    top_k: int | None = Field(None, ge=1, description="Only the most probable labels of each prediction.")
    reject: Share = Field(None, description="Reject texts that fit no class, as `mtlkit predict --reject` does.")
    prompt: Prompt = None


class SimilarityBody(Body):
    """A text, and others to compare it with."""

    text: Text
    candidates: Texts
    top_k: int | None = Field(None, ge=1, description="Only the most similar ones.")
    prompt: Prompt = None
