"""Options of `mtlkit check-data`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.common import DATA, MODEL, OnBadRow
from mtlkit.config.inference import runs_folder
from mtlkit.config.option import option
from mtlkit.config.training import ObjectiveName, TrainMtlOptions
from mtlkit.errors import UsageError

OUTPUT = "Output"


@dataclass(frozen=True, kw_only=True)
class CheckDataOptions(CheckedOptions):
    """Options of `mtlkit check-data`: of the data, those of `train-sentence` and `train-mtl`."""

    task: list[str] = option(
        [], "A task, NAME=SOURCE; repeatable.", panel=DATA, metavar="NAME=SOURCE", default_text="the samples, without --text"
    )
    objective: ObjectiveName = option(
        "classify",
        "What the tasks are for, as in train-sentence. classify: labels; pairs: two texts that belong together; similarity: two "
        "texts and a score; distill: texts.",
        panel=DATA,
    )
    text: list[str] = option([], "Texts for pretrain; repeatable.", panel=DATA, metavar="SOURCE")
    encoding: str = option("utf-8", "Encoding of text files.", panel=DATA)
    on_bad_row: OnBadRow = option("error", "Malformed rows: stop at the first, or skip and count them.", panel=DATA)
    max_length: int | None = option(
        None, "Tokens of a text, BOS and EOS included.", panel=DATA, default_text="as the model", minimum=4
    )
    model: str | None = option(
        None,
        "Whose tokenizer counts: folder of a run or of a Hugging Face model, or a hub id.",
        panel=MODEL,
        default_text="the newest run",
    )
    runs: Path = runs_folder()
    strict: bool = option(False, "Exit with 3 where a finding would spoil a result.", panel=OUTPUT)

    @property
    def tasks(self) -> list[str]:
        """The tasks to check: the samples where neither tasks nor texts are given. Raises UsageError."""
        if self.task or (self.text and self.objective == "classify"):
            return self.task
        if self.objective != "classify":
            raise UsageError(f"--objective {self.objective} has no sample data; specify --task NAME=SOURCE")
        return TrainMtlOptions().task
