"""How to use the heads of an export that label words, for its model card."""

from __future__ import annotations

import inspect

from mtlkit.model.description import ModelDescription

WORDS = """
Heads that label words ({names}) read the first token of each word. After the code above:

```python
import re
from collections.abc import Callable
from typing import Any


{source}

text = "some sentence"
words, labels = label_words("this/folder", model, text)
tags, probabilities = labels["{first}"]
print([(text[start:end], tag) for (start, end), tag in zip(words, tags)])
```

The tags are the likeliest ones of a text that their scheme allows. `probabilities` has a row for each word and a column for each
tag. Texts are cut at {length} tokens here, where mtlkit reads windows; words after that, and words without a token, are left out.
"""

ONNX_WORDS = """
Heads that label words ({names}) give `head:NAME` for each token, (texts, tokens, tags); a word is read at its first token.
{learned}mtlkit splits texts into words, reads long texts in windows, and predicts the likeliest tags that their scheme allows:
`model.predict(["some sentence"])`.
"""

LEARNED = """Heads with learned transitions ({names}) have these as `transitions:NAME`, (tags + 1, tags + 1): the score of each
column's tag after that of a row; the last row is for first tags, the last column for last ones. The probabilities of tags are the
marginals of this conditional random field, whose logarithms are divided by the temperature in `config.json`.
"""


def words_use(checkpoint: ModelDescription) -> str:
    """How to label words with a folder for sentence-transformers; empty without such heads."""
    from mtlkit.model.interop.word_heads import best_paths, label_words  # need torch, which `info` does not

    names = [task.name for task in checkpoint.tasks if task.tags is not None]
    source = "\n\n".join(inspect.getsource(function) for function in (best_paths, label_words))
    length = checkpoint.encoding.max_length
    return WORDS.format(names=_listed(names), first=names[0], source=source, length=length) if names else ""


def onnx_words_use(checkpoint: ModelDescription) -> str:
    """What a graph gives for words; empty without such heads."""
    names = [task.name for task in checkpoint.tasks if task.tags is not None]
    with_transitions = [task.name for task in checkpoint.tasks if task.transitions]
    learned = LEARNED.format(names=_listed(with_transitions)) if with_transitions else ""
    return ONNX_WORDS.format(names=_listed(names), learned=learned) if names else ""


def _listed(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
