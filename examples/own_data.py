"""Trains a sentence encoder on a csv file and uses it, all from Python. Takes under a minute on two cores."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

import mtlkit

QUESTIONS = ["Where is my parcel?", "When will the parcel arrive?", "My order has not come yet.", "The courier lost the box."]
MONEY = ["I was charged twice.", "Please refund my payment.", "The invoice shows a wrong sum.", "My card was billed again."]

with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    with (folder / "tickets.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["body", "queue"])
        for round_number in range(10):
            writer.writerows([(f"{text} Ticket {round_number}.", "delivery") for text in QUESTIONS])
            writer.writerows([(f"{text} Ticket {round_number}.", "billing") for text in MONEY])

    finished = mtlkit.train_sentence(
        task=f"queue={folder / 'tickets.csv'}?text=body&label=queue",
        init="scratch",
        runs=folder / "runs",
        vocab_size=500,
        batch_tokens=256,
        epochs=5,
    )
    print(f"validation accuracy {finished.metrics['validation']['queue']['accuracy']:.2f}")

    model = mtlkit.load(finished.run)
    for text in ("Where has the courier taken my order?", "You billed my card twice."):
        answer = model.predict([text])[0]["queue"]
        print(f"{text}  ->  {answer['label']} ({answer['probability']:.0%})")
    print("vectors:", model.embed(["Where is my parcel?", "Please refund me."]).shape)
