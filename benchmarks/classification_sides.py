"""What `classification.py` runs as processes: drawing rows, and the Trainer of transformers.

draw SET FOLDER MODEL ROWS TEST_ROWS   writes train.jsonl and test.jsonl into FOLDER; prints the mean number of tokens of a text
trainer FOLDER MODEL SETTINGS          trains and tests a classifier; prints its CPU seconds and accuracy as JSON
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from drawn import drawn_rows, drawn_splits, mean_tokens, trainer_arguments


def draw(source: str, folder: str, model: str, rows: str, test_rows: str) -> None:
    """Rows with text and label, the same for every seed and side."""
    splits = drawn_splits(source, folder, ["text", "label"], int(rows), int(test_rows))
    print(json.dumps({"tokens": mean_tokens(model, [row["text"] for row in splits["train"]])}))


def trainer(folder: str, model: str, settings: str) -> None:
    import transformers as hf

    told = json.loads(settings)
    train, test = (drawn_rows(folder, name) for name in ("train", "test"))
    labels = sorted({row["label"] for row in train})
    tokenizer = hf.AutoTokenizer.from_pretrained(model)
    limit = json.loads((Path(model) / "sentence_bert_config.json").read_text())["max_seq_length"]
    encoded = [
        [
            {**tokenizer(row["text"], truncation=True, max_length=limit), "labels": labels.index(row["label"])}
            for row in rows
            if row["label"] in labels
        ]
        for rows in (train, test)
    ]
    hf.set_seed(told["seed"])
    classifier = hf.AutoModelForSequenceClassification.from_pretrained(model, num_labels=len(labels))
    run = hf.Trainer(classifier, trainer_arguments(folder, told), hf.DataCollatorWithPadding(tokenizer), train_dataset=encoded[0])
    run.train()
    cpu = time.process_time()  # since the process began
    predicted = run.predict(encoded[1]).predictions.argmax(-1)
    right = sum(int(one) == row["labels"] for one, row in zip(predicted, encoded[1], strict=True))
    print(json.dumps({"cpu": round(cpu, 2), "figure": 100 * right / len(test)}))


if __name__ == "__main__":
    {"draw": draw, "trainer": trainer}[sys.argv[1]](*sys.argv[2:])
