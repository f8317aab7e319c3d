"""What the card of an export says about its use."""

from __future__ import annotations

import inspect

from mtlkit.config.vector_settings import VectorSettings
from mtlkit.model.description import ModelDescription
from mtlkit.model.interop.head_files import apply_heads
from mtlkit.report.text import printable

FRONT = """---
library_name: sentence-transformers
pipeline_tag: sentence-similarity
tags:
- sentence-transformers
- feature-extraction
---

"""

GENERATION_FRONT = """---
library_name: transformers
pipeline_tag: text-generation
---

"""

GENERATION = """```python
from transformers import pipeline

generate = pipeline("text-generation", model="this/folder")
print(generate("some text", max_new_tokens=20)[0]["generated_text"])
```

`AutoModelForCausalLM` and `AutoTokenizer` load it, too. The tokenizer puts `{first}` before a text, as in pretraining, and
nothing after it; to train it further, end each text with `{last}`. A prompt and its continuation have at most {length} tokens
together.
"""

VECTORS = """```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("this/folder")
vectors = model.encode(["some sentence"])
```
"""

HEADS = """
The heads lie beside the model, in `heads.json` and `heads.safetensors`. They need torch and safetensors alone:

```python
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer


{source}

model = SentenceTransformer("this/folder"{whole})
vectors = model.encode(["some sentence"], convert_to_tensor=True).cpu()
outputs = apply_heads("this/folder", vectors)
```

`outputs` has a row a text for each task. `heads.json` names the labels in the order of the columns. A softmax turns the
outputs of a classification into probabilities, a sigmoid those of a multi-label task; that of a regression is the value.
"""

CUT = """
Texts of more than {length} tokens are cut at their end here; mtlkit itself keeps the first quarter and the end of them.
"""

ONNX = """```python
import mtlkit

model = mtlkit.load("this/folder", backend="onnx")  # needs onnxruntime, and no torch
vectors = model.embed(["some sentence"])
```

In any other runtime: `model.onnx` takes `input_ids` and `attention_mask`, each (texts, tokens) of int64, as `tokenizer.json`
gives them with zeros to the right of shorter texts. It gives `vector`, (texts, dim), and for every task `head:NAME`,
(texts, outputs); where the run has a router, also `router`, (texts, tasks), of which a softmax gives how likely each task is.
`config.json` has the labels, and the router's tasks in the order of its columns.
"""

PROMPT_INPUT = """
A third input, `prompt_tokens`, is a number of int64 without dimensions: how many first tokens are those of the prompt, the first
one of all among them. They are left out of the pooling; 0 leaves out none.
"""

PROMPT = """
`{prompt}` is put before every text by default.
"""


def sentence_transformers_use(checkpoint: ModelDescription) -> str:
    """The lines that load it, those that apply its heads, and what differs."""
    encoding, vectors, dim = checkpoint.encoding, checkpoint.vectors, checkpoint.architecture.dim
    whole = f", truncate_dim={dim}" if vectors.truncate_dim else ""  # heads read whole vectors
    use = VECTORS + (HEADS.format(source=inspect.getsource(apply_heads), whole=whole) if checkpoint.tasks else "")
    return use + _prompt(vectors) + (CUT.format(length=encoding.max_length) if encoding.truncate == "head-tail" else "")


def transformers_use(checkpoint: ModelDescription, first: str, last: str) -> str:
    """The lines that generate text, by a tokenizer whose texts begin with `first` and would end with `last`."""
    return GENERATION.format(first=first, last=last, length=checkpoint.architecture.max_length)


def onnx_use(checkpoint: ModelDescription) -> str:
    """The lines that load it, and the inputs and outputs of its graph."""
    return ONNX + ("" if checkpoint.vectors.include_prompt else PROMPT_INPUT) + _prompt(checkpoint.vectors)


def _prompt(vectors: VectorSettings) -> str:
    return PROMPT.format(prompt=printable(vectors.prompt()).replace("`", "'")) if vectors.prompt() else ""
