"""What `words.py` runs as processes: drawing rows, and the Trainer of transformers.

draw SET FOLDER MODEL ROWS TEST_ROWS   writes train.jsonl and test.jsonl into FOLDER; prints the mean number of tokens of a text
trainer FOLDER MODEL SETTINGS          trains and tests a token classifier; prints its CPU seconds and span F1 as JSON
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from drawn import Rows, drawn_rows, drawn_splits, mean_tokens, trainer_arguments

IGNORED = -100  # the label that the loss of transformers leaves out


def draw(source: str, folder: str, model: str, rows: str, test_rows: str) -> None:
    """Rows with words and tags, the same for every seed and side."""
    splits = drawn_splits(source, folder, ["tokens", "ner_tags"], int(rows), int(test_rows))
    print(json.dumps({"tokens": mean_tokens(model, [row["tokens"] for row in splits["train"]])}))


def trainer(folder: str, model: str, settings: str) -> None:
    import transformers as hf

    told = json.loads(settings)
    train, test = (drawn_rows(folder, name) for name in ("train", "test"))
    tags = sorted({tag for row in train for tag in row["ner_tags"]})
    tokenizer = hf.AutoTokenizer.from_pretrained(model)
    hf.set_seed(told["seed"])
    classifier = hf.AutoModelForTokenClassification.from_pretrained(model, num_labels=len(tags))
    run = hf.Trainer(
        classifier,
        trainer_arguments(folder, told),
        hf.DataCollatorForTokenClassification(tokenizer),
        train_dataset=[_encoded(tokenizer, row, tags) for row in train],
    )
    run.train()
    cpu = time.process_time()  # since the process began
    print(json.dumps({"cpu": round(cpu, 2), "figure": 100 * _f1(run, tokenizer, test, tags)}))


def _encoded(tokenizer: Any, row: dict[str, Any], tags: list[str]) -> dict[str, Any]:
    """The token ids of a row; the first token of each word has the number of its tag."""
    encoding = tokenizer(row["tokens"], is_split_into_words=True, truncation=True)
    words: list[int | None] = encoding.word_ids()
    first = [word is not None and word != before for before, word in zip([None, *words], words, strict=False)]
    known = {tag: place for place, tag in enumerate(tags)}
    labels = [
        known.get(row["ner_tags"][word], IGNORED) if begins and word is not None else IGNORED
        for begins, word in zip(first, words, strict=True)
    ]
    return {**encoding, "labels": labels}


def _f1(run: Any, tokenizer: Any, test: Rows, tags: list[str]) -> float:
    """Span F1 of all test rows; words without a token are outside every span."""
    from seqeval.metrics import f1_score

    predicted = []
    outputs = run.predict([_encoded(tokenizer, row, tags) for row in test]).predictions.argmax(-1)
    for row, output in zip(test, outputs, strict=True):
        words = tokenizer(row["tokens"], is_split_into_words=True, truncation=True).word_ids()
        found = ["O"] * len(row["tokens"])
        for place in reversed(range(len(words))):  # the first token of a word comes last, and stays
            if (word := words[place]) is not None:
                found[word] = tags[output[place]]
        predicted.append(found)
    return float(f1_score([row["ner_tags"] for row in test], predicted))


if __name__ == "__main__":
    {"draw": draw, "trainer": trainer}[sys.argv[1]](*sys.argv[2:])
