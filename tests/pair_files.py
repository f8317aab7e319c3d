"""Files of labelled pairs of texts, and options for short trainings on them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from conftest import SENTENCES

QUICK = ("--epochs", 1, "--min-steps", 0, "--batch-tokens", 256, "--learning-rate", 0.003, "--track-every", 0)


def write_pairs(path: Path, rows: int, seed: int, header: tuple[str, ...] = ("premise", "hypothesis", "label", "score")) -> Path:
    """Pairs of sentences: whether both are about animals or both about tools, and how many words they share."""
    random = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for _ in range(rows):
            first, second = (int(place) for place in random.choice(len(SENTENCES), 2))
            shared = len(set(SENTENCES[first].split()) & set(SENTENCES[second].split()))
            label = "same" if (first < 40) == (second < 40) else "other"
            writer.writerow((SENTENCES[first], SENTENCES[second], label, f"{shared + random.random():.2f}"))
    return path
