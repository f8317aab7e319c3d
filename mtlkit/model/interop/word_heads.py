"""Heads that label words, in an exported sentence-transformers folder: how its card applies them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from mtlkit.model.interop.head_files import apply_heads


# The model card of an export includes the source of these two functions.
def best_paths(scores: torch.Tensor, between: torch.Tensor, best: Callable[..., torch.Tensor]) -> torch.Tensor:
    """For each tag of each word, the scores of all sequences of tags through it: the highest (amax), or their sum (logsumexp)."""
    first, pairs, last = between[-1, :-1], between[:-1, :-1], between[:-1, -1]
    forward, backward = [first + scores[0]], [last]
    for row in scores[1:]:
        forward.append(best(forward[-1][:, None] + pairs, 0) + row)
    for row in scores[1:].flip(0):
        backward.append(best(pairs + row + backward[-1], 1))
    return torch.stack(forward) + torch.stack(backward[::-1])


def label_words(folder: str, model: Any, text: str) -> tuple[list[tuple[int, int]], dict[str, tuple[list[str], torch.Tensor]]]:
    """Where words begin and end in the text; for each task the tags of these words, and the probabilities of all tags."""
    heads = json.loads((Path(folder) / "heads.json").read_text(encoding="utf-8"))
    weights = load_file(Path(folder) / "heads.safetensors")
    prompt = model.prompts.get(model.default_prompt_name, "")
    tokens = model.tokenizer(prompt + text, truncation=True, return_offsets_mapping=True, return_tensors="pt")
    places = (tokens.pop("offset_mapping")[0] - len(prompt)).clamp(min=0).tolist()
    words, rows, before = [], [], 0
    for match in re.finditer(heads["words"], text):
        start, end = match.span()
        near = [(row, *place) for row, place in enumerate(places) if place[0] < min(place[1], end) and place[1] >= start]
        own = [row for row, first, _ in near if first >= before]  # the first one may be of the blank before the word
        own = own or [row for row, _, last in near if last > start]  # a token of the word before, too
        if own:
            words.append((start, end))
            rows.append(own[0])
        before = end
    labels = {}
    with torch.no_grad():
        states = model[0](dict(tokens.to(model.device)))["token_embeddings"][0].cpu()
    for task, outputs in apply_heads(folder, states[rows], words=True).items():
        scores = outputs.double()  # sums over long texts
        settings = next(settings for settings in heads["tasks"] if settings["name"] == task)
        if words and settings.get("transitions"):
            scores = best_paths(scores, weights[f"{task}.transitions"], torch.logsumexp).log_softmax(-1)
        numbers = best_paths(scores, weights[f"{task}.allowed"], torch.amax).argmax(-1).tolist() if words else []
        temperature = settings.get("calibration", {}).get("temperature", 1.0)
        labels[task] = [settings["labels"][number] for number in numbers], (scores / temperature).softmax(-1)
    return words, labels
