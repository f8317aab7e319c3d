"""How to use an export, for its model card."""

from __future__ import annotations

import inspect

from mtlkit.config.vector_settings import VectorSettings
from mtlkit.model.description import ModelDescription
from mtlkit.report.text import printable
from mtlkit.tasks.base import kind_of

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

`AutoModelForCausalLM` and `AutoTokenizer` load it, too. The tokenizer adds `{first}` at the start of a text, as in pretraining,
and nothing at the end; to train the model further, end each text with `{last}`. The context length is {length} tokens.
"""

VECTORS = """```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("this/folder")
vectors = model.encode(["some sentence"])
```
"""

HEADS = """
The task heads are in `heads.json` and `heads.safetensors`. Applying them needs only torch and safetensors:

```python
import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer


{source}

model = SentenceTransformer("this/folder"{truncate_dim})
vectors = model.encode(["some sentence"], convert_to_tensor=True).cpu()
outputs = apply_heads("this/folder", vectors)
```

{pairs}`outputs` maps each task to one row per text. `heads.json` lists the labels in column order. {outputs_help}
"""

JOINT = """Heads that read both texts of a pair in one sequence ({names}) are folders for sentence-transformers (tested with 6.2),
each with the backbone:

```python
from sentence_transformers import CrossEncoder

scores = CrossEncoder("this/folder/cross-encoder/{first}").predict([("a first text", "its second text")])
```

"""

ONNX_JOINT = """
Heads that read both texts of a pair in one sequence ({names}) are in the same graph as those for single texts: give it the tokens
of the sequence, and `token_type_ids` where it has this input.
"""

PAIRS = """For heads that read pairs of texts ({names}), give the vectors of both:

```python
first = model.encode(["a first text"], convert_to_tensor=True).cpu()
second = model.encode(["its second text"], convert_to_tensor=True).cpu()
outputs = apply_heads("this/folder", first, second)
```

"""

ONNX_PAIRS = """
Heads for pairs of texts ({names}) are in `pairs.onnx`: it takes `first` and `second`, the vectors of both texts, each
(pairs, dim), and returns `head:NAME` for each of them. With mtlkit: `model.predict([("a first text", "its second text")])`.
"""

TEMPERATURES = """
The outputs are already divided by the temperature that calibrates their head.
"""

THRESHOLDS = """
A label is predicted if its probability exceeds its threshold in `heads.json`:

```python
for task in json.loads(Path("this/folder/heads.json").read_text(encoding="utf-8"))["tasks"]:
    if thresholds := task.get("calibration", {}).get("thresholds"):
        above = torch.sigmoid(outputs[task["name"]]) > torch.tensor(thresholds)
        predicted = [[label for label, is_above in zip(task["labels"], row) if is_above] for row in above]
```
"""

ONNX_THRESHOLDS = """
A label of a multi-label task is predicted if its probability exceeds its threshold in `config.json` (`calibration`).
"""

CUT = """
Texts of more than {length} tokens are truncated at the end here; mtlkit itself keeps their first quarter and their end.
"""

ONNX = """```python
import mtlkit

model = mtlkit.load("this/folder", backend="onnx")  # needs onnxruntime, not torch
vectors = model.embed(["some sentence"])
```

With any other runtime: `model.onnx` takes `input_ids` and `attention_mask`, both int64 of shape (texts, tokens), from
`tokenizer.json`, padded with zeros on the right. It returns `vector`, (texts, dim), and `head:NAME`, (texts, outputs), for each
task; with a router also `router`, (texts, tasks), whose softmax is the probability of each task.
`config.json` lists the labels and the router's tasks in column order.
"""

PROMPT_INPUT = """
A third input, `prompt_tokens`, is an int64 scalar: the number of leading tokens that belong to the prompt, including the first
special token. They are excluded from pooling; 0 excludes none.
"""

PROMPT = """
The default prompt `{prompt}` is prepended to every text.
"""


def sentence_transformers_use(checkpoint: ModelDescription) -> str:
    """How to load the model and apply its heads, and where its vectors differ from those of mtlkit."""
    from mtlkit.model.interop.head_files import apply_heads  # needs torch, which `info` does not

    encoding, vectors, dim = checkpoint.encoding, checkpoint.vectors, checkpoint.architecture.vector_dim
    truncate_dim = f", truncate_dim={dim}" if vectors.truncate_dim else ""  # heads need the full vectors
    outputs_help = "\n".join(dict.fromkeys(kind_of(task.kind).outputs_help for task in checkpoint.tasks))
    heads = HEADS.format(
        source=inspect.getsource(apply_heads),
        truncate_dim=truncate_dim,
        outputs_help=outputs_help,
        pairs=_pairs(checkpoint, PAIRS) + _joint(checkpoint, JOINT),
    )
    use = VECTORS + (heads + _calibration(checkpoint, THRESHOLDS) if checkpoint.tasks else "")
    return use + _prompt(vectors) + (CUT.format(length=encoding.max_length) if encoding.truncate == "head-tail" else "")


def transformers_use(checkpoint: ModelDescription, first: str, last: str) -> str:
    """How to generate text; `first` and `last` are the tokens that begin and end a training text."""
    return GENERATION.format(first=first, last=last, length=checkpoint.architecture.max_length)


def onnx_use(checkpoint: ModelDescription) -> str:
    """How to load the model, and the inputs and outputs of its graph."""
    prompt_input = "" if checkpoint.vectors.include_prompt else PROMPT_INPUT
    return (
        ONNX
        + _pairs(checkpoint, ONNX_PAIRS)
        + _joint(checkpoint, ONNX_JOINT)
        + _calibration(checkpoint, ONNX_THRESHOLDS)
        + prompt_input
        + _prompt(checkpoint.vectors)
    )


def _calibration(checkpoint: ModelDescription, thresholds: str) -> str:
    methods = {task.calibration.method for task in checkpoint.tasks if task.calibration}
    return (TEMPERATURES if "temperature" in methods else "") + (thresholds if "thresholds" in methods else "")


def _pairs(checkpoint: ModelDescription, text: str) -> str:
    names = [f"`{task.name}`" for task in checkpoint.tasks if task.pair == "vectors"]
    return text.format(names=", ".join(names)) if names else ""


def _joint(checkpoint: ModelDescription, text: str) -> str:
    names = [task.name for task in checkpoint.tasks if task.joint]
    return text.format(names=", ".join(f"`{name}`" for name in names), first=names[0]) if names else ""


def _prompt(vectors: VectorSettings) -> str:
    return PROMPT.format(prompt=printable(vectors.prompt()).replace("`", "'")) if vectors.prompt() else ""
