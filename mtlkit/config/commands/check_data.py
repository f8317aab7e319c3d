"""Options of `mtlkit check-data`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.common import DATA, ENCODINGS, MODEL, OnBadRow, runs_folder
from mtlkit.config.option import COMMON, option
from mtlkit.config.task_training import LABELLED, ObjectiveName
from mtlkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class CheckDataOptions(CheckedOptions):
    """Options of `mtlkit check-data`; those for data are the same as of `train-sentence` and `train-mtl`."""

    task: list[str] = option(
        [],
        "A task and its data; repeatable.",
        panel=COMMON,
        metavar="NAME=SOURCE",
        default_text="the samples, unless --text is given",
        complete="source",
    )
    text: list[str] = option([], "Texts for pretrain; repeatable.", panel=COMMON, metavar="SOURCE", rank=1, complete="source")
    objective: ObjectiveName = option(
        "classify",
        "What the tasks are for: classify, labels (labels), pairs, triplets (matching texts), distill (texts), similarity "
        "(scored pairs).",
        panel=COMMON,
        rank=2,
    )
    strict: bool = option(False, "Exit with code 3 if a finding would spoil a result.", panel=COMMON, rank=3)
    baseline: bool = option(
        False,
        "Also measure what a bag of words reaches on each classification task: TF-IDF and logistic regression; needs "
        "scikit-learn.",
        panel=COMMON,
        rank=4,
    )
    encoding: str = option("utf-8", "Encoding of text files.", metavar="NAME", panel=DATA, complete=ENCODINGS)
    on_bad_row: OnBadRow = option("error", "Malformed rows: stop at the first, or skip and count them.", panel=DATA)
    max_length: int | None = option(
        None, "Tokens per text, BOS and EOS included.", panel=DATA, metavar="N", default_text="the model's", minimum=4
    )
    model: str | None = option(
        None,
        "Model whose tokenizer counts the tokens.",
        metavar="MODEL",
        panel=MODEL,
        default_text="the newest run",
        complete="run",
    )
    runs: Path = runs_folder()

    @property
    def tasks(self) -> list[str]:
        """The tasks to check: the samples, if there are neither tasks nor texts. Raises UsageError."""
        if self.task or (self.text and self.objective in LABELLED):
            return self.task
        if self.objective not in LABELLED:
            raise UsageError(f"--objective {self.objective} has no sample data; specify --task NAME=SOURCE")
        return TrainMtlOptions().task
