"""How a model's vectors are meant to be made and compared, beside its weights: prompts, length, similarity."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
NO_PROMPT = "none"  # what turns the default prompt off, unless the model has a prompt of that name


@dataclass(frozen=True)
class VectorSettings:
    """What sentence-transformers keeps in config_sentence_transformers.json, and `include_prompt` of its pooling.

    `prompts` are texts by name; the one named `default_prompt` is put before every text unless another is asked for. Without
    `include_prompt` its tokens are read and left out of the pooling. `truncate_dim` is how many numbers of a vector are kept.
    """

    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    include_prompt: bool = True
    truncate_dim: int | None = None
    similarity: Similarity = "cosine"

    def __post_init__(self) -> None:
        if self.default_prompt is not None and self.default_prompt not in self.prompts:
            raise ValueError(f"no prompt '{self.default_prompt}', which is the default")
        if self.truncate_dim is not None and self.truncate_dim < 1:
            raise ValueError(f"vectors of {self.truncate_dim} numbers")

    def prompt(self, asked: str | None = None) -> str:
        """The text of a prompt: of the default where None is asked for, of the prompt of that name, nothing for "none" or "",
        else what is asked for itself."""
        if asked is None:
            return self.prompts[self.default_prompt] if self.default_prompt is not None else ""
        if asked in self.prompts:
            return self.prompts[asked]
        return "" if asked == NO_PROMPT else asked

    def name_of(self, prompt: str) -> str | None:
        """The name of a prompt by its text, the default's where several are equal; None for one without a name."""
        if self.default_prompt is not None and self.prompts[self.default_prompt] == prompt:
            return self.default_prompt
        return next((name for name, text in self.prompts.items() if text == prompt), None)

    def with_default(self, asked: str | None) -> VectorSettings:
        """The same with another default prompt, which gets a name where it has none; unchanged for None."""
        if asked is None:
            return self
        prompt = self.prompt(asked)
        if not prompt:
            return replace(self, default_prompt=None)
        name = asked if asked in self.prompts else self.name_of(prompt)
        if name is None:
            taken = len([one for one in self.prompts if one.startswith("default")])
            name = f"default-{taken + 1}" if taken else "default"
        return replace(self, prompts={**self.prompts, name: prompt}, default_prompt=name)
