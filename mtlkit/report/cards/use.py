"""How to use a model with mtlkit, for its card, and the name of the model in what cards say."""

from __future__ import annotations

import re

from mtlkit.model.description import ModelDescription
from mtlkit.report.cards.facts import PLACE

SAFE = re.compile(r"[\w./ +=@~-]+")  # names that need no escapes in Python strings; others stay PLACE

EMBED = """```python
import mtlkit

model = mtlkit.load("this/folder")
vectors = model.embed(["some sentence"])
```

```sh
mtlkit embed --model this/folder "some sentence"
```
"""

PREDICT = """```python
import mtlkit

model = mtlkit.load("this/folder")
answers = model.predict({example})
vectors = model.embed(["some sentence"])
```

```sh
mtlkit predict --model this/folder {typed}
```
"""
SINGLE = ('["some sentence"]', '"some sentence"')
PAIR = ('[("a first text", "its second text")]', '--pair "a first text" "its second text"')

BASE = """A base is a start for other models; this trains heads on it, here for the samples that mtlkit has:

```python
import mtlkit

mtlkit.train_mtl(init="this/folder", task=["topic=sample:topic"])
```

```sh
mtlkit train-mtl --init this/folder --task topic=sample:topic
```
"""


def mtlkit_use(description: ModelDescription) -> str:
    """Python and a command for a run of mtlkit, or for what it reads as one."""
    if description.stage == "base":
        return BASE
    if not description.tasks:
        return EMBED
    return PREDICT.format(example=_examples(description)[0], typed=typed_example(description))


def typed_example(description: ModelDescription) -> str:
    """What the heads of a model read, as arguments of a command."""
    return _examples(description)[1]


def _examples(description: ModelDescription) -> tuple[str, str]:
    single = not description.tasks or any(task.reads(pairs=False) for task in description.tasks)
    return SINGLE if single else PAIR


def placed(markdown: str, name: str, *, on_hub: bool) -> str:
    """Templates with the name of the model in place of PLACE. Code that reads files of a model of the hub downloads it first."""
    if not SAFE.fullmatch(name):
        return markdown
    if not on_hub:
        return re.sub(rf"(?<![\"\w]){PLACE}", f'"{name}"' if " " in name else name, markdown).replace(PLACE, name)
    return "```".join(
        _of_hub(part, name) if index % 2 else part.replace(PLACE, name) for index, part in enumerate(markdown.split("```"))
    )


def _of_hub(code: str, name: str) -> str:
    if not code.startswith("python\n") or not (f'"{PLACE}/' in code or f'apply_heads("{PLACE}"' in code):
        return code.replace(PLACE, name)
    start, body = "python\n", code.removeprefix("python\n")
    body = re.sub(rf'"{PLACE}/([^"]*)"', r'f"{folder}/\1"', body).replace(f'"{PLACE}"', "folder")
    return f'{start}from huggingface_hub import snapshot_download\n\nfolder = snapshot_download("{name}")\n\n{body}'
