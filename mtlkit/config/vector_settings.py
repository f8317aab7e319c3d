"""How a model's vectors are computed and compared: prompts, number of dimensions, similarity."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

Similarity = Literal["cosine", "dot", "euclidean", "manhattan"]
NO_PROMPT = "none"  # turns the default prompt off, unless the model has a prompt with this name


@dataclass(frozen=True)
class VectorSettings:
    """The settings in config_sentence_transformers.json of sentence-transformers, and `include_prompt` of its pooling.

    `prompts` are texts by name; the one named `default_prompt` is prepended to every text unless another is chosen. Without
    `include_prompt` its tokens are excluded from pooling. `truncate_dim` is the number of dimensions to keep.
    """

    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt: str | None = None
    include_prompt: bool = True
    truncate_dim: int | None = None
    similarity: Similarity = "cosine"

    def __post_init__(self) -> None:
        if self.default_prompt is not None and self.default_prompt not in self.prompts:
            raise ValueError(f"the default prompt '{self.default_prompt}' is not defined")
        if self.truncate_dim is not None and self.truncate_dim < 1:
            raise ValueError(f"truncate_dim {self.truncate_dim} is not above 0")

    def prompt(self, name: str | None = None) -> str:
        """The text of the prompt with this name, or of the default prompt for None; "" for "none" or "".

        Any other name is used as the text itself.
        """
        if name is None:
            return self.prompts[self.default_prompt] if self.default_prompt is not None else ""
        if name in self.prompts:
            return self.prompts[name]
        return "" if name == NO_PROMPT else name

    def name_of(self, prompt: str) -> str | None:
        """The name of a prompt by its text, preferably the default's; None if it has no name."""
        if self.default_prompt is not None and self.prompts[self.default_prompt] == prompt:
            return self.default_prompt
        return next((name for name, text in self.prompts.items() if text == prompt), None)

    def with_default(self, name_or_text: str | None) -> VectorSettings:
        """A copy with another default prompt, which gets a name if it has none; unchanged for None."""
        if name_or_text is None:
            return self
        prompt = self.prompt(name_or_text)
        if not prompt:
            return replace(self, default_prompt=None)
        name = name_or_text if name_or_text in self.prompts else self.name_of(prompt)
        if name is None:
            count = len([key for key in self.prompts if key.startswith("default")])
            name = f"default-{count + 1}" if count else "default"
        return replace(self, prompts={**self.prompts, name: prompt}, default_prompt=name)
