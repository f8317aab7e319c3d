"""How to use an export for sentence-transformers or transformers, for its model card."""

from __future__ import annotations

import inspect

from mtlkit.config.vector_settings import VectorSettings
from mtlkit.model.description import ModelDescription
from mtlkit.report.cards.use import typed_example
from mtlkit.report.cards.words import words_use
from mtlkit.report.text import printable
from mtlkit.tasks.base import kind_of

GENERATION = """```python
from transformers import pipeline

generate = pipeline("text-generation", model="this/folder")
print(generate("some text", max_new_tokens=20)[0]["generated_text"])
```

`AutoModelForCausalLM` and `AutoTokenizer` load it, too. The tokenizer adds `{first}` at the start of a text, as in pretraining,
and nothing at the end; to train the model further, end each text with `{last}`. The context length is {length} tokens.
"""

MASKS = """```python
from transformers import pipeline

fill = pipeline("fill-mask", model="this/folder")
print(fill("some {mask} here")[0]["sequence"])
```

`AutoModelForMaskedLM` and `AutoTokenizer` load it, too. `{mask}` hides a token, as in pretraining. The context length is {length}
tokens.
"""

VECTORS = """```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("this/folder")
vectors = model.encode(["some sentence"])
```
"""

COMMAND = """
mtlkit reads it, too{heads}:

```sh
mtlkit {command} --model this/folder {typed}
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
{vectors}```

{pairs}{rows}`heads.json` lists the labels in column order.{outputs_help}
"""

OUTPUTS = """vectors = model.encode(["some sentence"], convert_to_tensor=True).cpu()
outputs = apply_heads("this/folder", vectors)
"""
ROWS = "`outputs` maps each task to one row per text. "

JOINT = """Heads that read both texts of a pair in one sequence ({names}) are folders for sentence-transformers (tested with 6.2),
each with the backbone:

```python
from sentence_transformers import CrossEncoder

scores = CrossEncoder("this/folder/cross-encoder/{first}").predict([("a first text", "its second text")])
```

"""

PAIRS = """For heads that read pairs of texts ({names}), give the vectors of both:

```python
first = model.encode(["a first text"], convert_to_tensor=True).cpu()
second = model.encode(["its second text"], convert_to_tensor=True).cpu()
outputs = apply_heads("this/folder", first, second)
```

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

CUT = """
Texts of more than {length} tokens are truncated at the end here; mtlkit itself keeps their first quarter and their end.
"""

PROMPT = """
The default prompt `{prompt}` is prepended to every text.
"""


def sentence_transformers_use(checkpoint: ModelDescription) -> str:
    """How to get vectors of texts, and predictions with mtlkit."""
    command, heads = ("predict", ", with the heads") if checkpoint.tasks else ("embed", "")
    return VECTORS + COMMAND.format(command=command, typed=typed_example(checkpoint), heads=heads)


def sentence_transformers_details(checkpoint: ModelDescription) -> str:
    """How to apply the heads without mtlkit, and where vectors differ from those of mtlkit."""
    from mtlkit.model.interop.head_files import apply_heads  # needs torch, which `info` does not

    encoding, vectors, dim = checkpoint.encoding, checkpoint.vectors, checkpoint.architecture.vector_dim
    truncate_dim = f", truncate_dim={dim}" if vectors.truncate_dim else ""  # heads need the full vectors
    of_texts = [task for task in checkpoint.tasks if task.tags is None]
    outputs_help = "\n".join(dict.fromkeys(kind_of(task.kind).outputs_help for task in of_texts))
    heads = HEADS.format(
        source=inspect.getsource(apply_heads),
        truncate_dim=truncate_dim,
        vectors=OUTPUTS if of_texts else "",
        rows=ROWS if of_texts else "",
        outputs_help=outputs_help and f" {outputs_help}",
        pairs=pairs_use(checkpoint, PAIRS) + joint_use(checkpoint, JOINT),
    )
    use = heads + calibration_use(checkpoint, THRESHOLDS) + words_use(checkpoint) if checkpoint.tasks else ""
    return use + prompt_use(vectors) + (CUT.format(length=encoding.max_length) if encoding.truncate == "head-tail" else "")


def transformers_use(checkpoint: ModelDescription, first: str, last: str) -> str:
    """How to generate text; `first` and `last` are the tokens that begin and end a training text."""
    return GENERATION.format(first=first, last=last, length=checkpoint.architecture.max_length)


def masked_use(checkpoint: ModelDescription, mask: str) -> str:
    """How to fill in masked tokens; `mask` is the token that hides one."""
    return MASKS.format(mask=mask, length=checkpoint.architecture.max_length)


def calibration_use(checkpoint: ModelDescription, thresholds: str) -> str:
    """How outputs are calibrated; `thresholds` describes those of multi-label heads."""
    methods = {task.calibration.method for task in checkpoint.tasks if task.calibration and not task.transitions}
    return (TEMPERATURES if "temperature" in methods else "") + (thresholds if "thresholds" in methods else "")


def pairs_use(checkpoint: ModelDescription, text: str) -> str:
    """`text` with the names of the heads that read the vectors of pairs; empty without such heads."""
    names = [f"`{task.name}`" for task in checkpoint.tasks if task.pair == "vectors"]
    return text.format(names=", ".join(names)) if names else ""


def joint_use(checkpoint: ModelDescription, text: str) -> str:
    """`text` with the names of the heads that read pairs in one sequence; empty without such heads."""
    names = [task.name for task in checkpoint.tasks if task.joint]
    return text.format(names=", ".join(f"`{name}`" for name in names), first=names[0]) if names else ""


def prompt_use(vectors: VectorSettings) -> str:
    """The prompt that texts get by default; empty without one."""
    return PROMPT.format(prompt=printable(vectors.prompt()).replace("`", "'")) if vectors.prompt() else ""
