"""Options of `mtlkit eval`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtlkit.config.commands.pretrain import Packing
from mtlkit.config.common import DATA, OBJECTIVE, OUTPUT, OnBadRow, run_argument
from mtlkit.config.inference import ModelOptions, VectorOptions, no_cache
from mtlkit.config.option import COMMON, option
from mtlkit.errors import UsageError, shorten


def parse_retrieval(text: str) -> tuple[str, str, str]:
    """The sources in a value of `--retrieval`: queries, corpus, relevance judgements. Raises UsageError."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.strip() for part in parts):
        raise UsageError(
            f"--retrieval {shorten(text)!r} is not three files; give queries, corpus and relevance judgements, such as "
            "queries.jsonl,corpus.jsonl,qrels.tsv"
        )
    return parts[0], parts[1], parts[2]


@dataclass(frozen=True, kw_only=True)
class EvalOptions(VectorOptions, ModelOptions):
    """Options of `mtlkit eval`. `sts`, `probe` and `retrieval` evaluate vectors instead of heads."""

    task: list[str] = option(
        [],
        "Data for a head or for --probe; repeatable.",
        panel=COMMON,
        metavar="NAME=SOURCE",
        default_text="the run's data; for --probe, else the samples",
        rank=1,
        complete="source",
    )
    split: Literal["test", "validation", "train"] = option("test", "Rows to evaluate on.", panel=COMMON, rank=2)
    confusion: bool = option(False, "Show confusion matrices and the most confused pairs.", panel=COMMON, rank=3)
    run: str | None = run_argument("Folder of a run, or another model, as --model takes it.")
    against: str | None = option(
        None,
        "Compare with another model on the same rows: intervals of the differences, McNemar's test.",
        metavar="MODEL",
        panel=COMMON,
        rank=3,
        complete="run",
    )
    worst_first: bool = option(False, "Show the classes with the lowest F1 first.", panel=COMMON, rank=3)
    calibration: bool = option(
        False, "Show how often predictions of each confidence are right: a reliability table.", panel=COMMON, rank=3
    )
    output: Path | None = option(
        None,
        "With --confusion: write the whole matrices to a .csv file. With --confusion or --calibration: draw a .png, .svg or .pdf "
        "picture.",
        metavar="FILE",
        panel=COMMON,
        short="-o",
        rank=4,
        complete="file",
    )
    errors: Path | None = option(
        None,
        "Write the misclassified rows, with probabilities, to a .csv, .jsonl or .parquet file.",
        metavar="FILE",
        panel=COMMON,
        rank=4,
        complete="file",
    )
    out_of_scope: str | None = option(
        None,
        "Texts that fit no class of any head: measure how well predict --reject recognizes them.",
        metavar="SOURCE",
        panel=COMMON,
        rank=3,
        complete="source",
    )
    sts: list[str] = option(
        [],
        "Sentence pairs with scores: measure how well the similarity of their vectors follows the scores; repeatable.",
        panel=OBJECTIVE,
        metavar="SOURCE",
        complete="source",
    )
    probe: bool = option(
        False, "Train a logistic regression on frozen vectors of each task and score that instead of heads.", panel=OBJECTIVE
    )
    retrieval: list[str] = option(
        [],
        "Queries, documents and relevance judgements in BEIR's layout: measure how well the vectors of queries find relevant "
        "documents (nDCG@10, MRR@10, recall); repeatable.",
        panel=OBJECTIVE,
        metavar="QUERIES,CORPUS,QRELS",
        parse=parse_retrieval,
        complete="file",
    )
    packing: Packing | None = option(
        None,
        "How a base predicts texts: each on its own (documents), or all in a row (stream).",
        panel=DATA,
        default_text="as it was trained",
        advanced=True,
    )
    text: list[str] = option(
        [],
        "Texts to measure a base's perplexity on; repeatable.",
        panel=DATA,
        metavar="SOURCE",
        default_text="the run's held-out texts",
        complete="source",
    )
    on_bad_row: OnBadRow = option("error", "Malformed rows: stop at the first, or skip and count them.", panel=DATA, rank=1)
    overwrite: bool = option(False, "Replace --output and --errors.", panel=OUTPUT)
    no_cache: bool = no_cache()

    @property
    def of_vectors(self) -> list[str]:
        """The given options that evaluate vectors instead of heads."""
        named = {"--sts": self.sts, "--probe": self.probe, "--retrieval": self.retrieval}
        return [name for name, value in named.items() if value]
