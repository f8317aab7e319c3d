"""Options of the commands about a run: export, curves and info."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtlkit.config.checked import CheckedOptions
from mtlkit.config.common import CARD, HUB, OUTPUT, language_option, license_option, run_argument, runs_folder
from mtlkit.config.hub_ids import parse_repository
from mtlkit.config.option import COMMON, option
from mtlkit.config.registries.export_formats import EXPORT_FORMATS
from mtlkit.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class ExportOptions(CheckedOptions):
    """Options of `mtlkit export`."""

    model: str | None = run_argument("Folder of a run or of a Hugging Face model, or a hub id.")
    out: Path | None = option(
        None,
        "Folder to write the export to.",
        panel=COMMON,
        positional=True,
        metavar="DIR",
        default_text="in the run, named after the format",
        rank=1,
        complete="file",
    )
    format: str = option(
        "sentence-transformers",
        "sentence-transformers: for SentenceTransformer(DIR). transformers: a base for text generation. onnx: a graph with "
        "every head. compact: a run in a quarter of the bytes. peft: an adapter apart from its base.",
        panel=COMMON,
        rank=2,
        choices=EXPORT_FORMATS,
    )
    task: str | None = option(
        None,
        "Export one head only, with its adapter in the weights.",
        metavar="NAME",
        panel=COMMON,
        rank=3,
        default_text="all heads",
        complete="task",
    )
    embedding_share: float | None = option(
        None,
        "Share of the token embeddings in what is pooled, instead of the model's; not for models with heads.",
        panel=COMMON,
        metavar="X",
        minimum=0,
        maximum=0.9,
        advanced=True,
        rank=4,
    )
    runs: Path = runs_folder()
    test: bool = option(False, "Score the heads on the test rows of their data, for the model card.", panel=CARD, rank=1)
    license: str | None = license_option(CARD, default_text="that of the run")
    language: list[str] = language_option(CARD, default_text="that of the run")
    card: Path | None = option(
        None,
        "Markdown file to include in the card; its YAML front matter comes before ours.",
        metavar="FILE",
        panel=CARD,
        complete="file",
        rank=5,
    )
    overwrite: bool = option(False, "Replace an export of the same format in DIR.", panel=OUTPUT)
    push: str | None = option(
        None,
        "Show what would be sent to this repository of the Hugging Face hub; with --yes, send it.",
        metavar="USER/NAME",
        panel=HUB,
        parse=parse_repository,
    )
    private: bool = option(False, "Make the repository of --push private, if it is new.", panel=HUB, rank=1)
    replace: bool = option(False, "Let --push replace files of the repository.", panel=HUB, rank=2)
    yes: bool = option(False, "Carry out --push.", panel=HUB, rank=3)

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("private", "replace", "yes"):
            if getattr(self, name) and self.push is None:
                raise UsageError(f"--{name} belongs to --push USER/NAME; add it, or remove --{name}")


@dataclass(frozen=True, kw_only=True)
class CurvesOptions(CheckedOptions):
    """Options of `mtlkit curves`."""

    run: Path | None = run_argument("Folder of a run, or a metrics.jsonl file.")
    output: Path | None = option(
        None, "Write the curves to an .svg, .png or .pdf file.", metavar="FILE", panel=COMMON, short="-o", rank=1, complete="file"
    )
    smooth: int | None = option(
        None,
        "Average the loss over N steps (1 = no smoothing).",
        panel=COMMON,
        metavar="N",
        minimum=1,
        default_text="the square root of the number of steps",
        rank=2,
    )
    follow: bool = option(
        False,
        "Follow a running training: draw new points as its log grows, and end when it ends. With --output, rewrite the picture.",
        panel=COMMON,
        rank=3,
    )
    runs: Path = runs_folder()
    overwrite: bool = option(False, "Replace --output.", panel=OUTPUT)


@dataclass(frozen=True, kw_only=True)
class InfoOptions(CheckedOptions):
    """Options of `mtlkit info`."""

    run: Path | None = run_argument("Folder of a run, an export or an unfinished training; or mini.")
    caches: bool = option(False, "List all caches and their sizes instead of a run.", panel=COMMON, rank=1)
    clear_caches: bool = option(False, "Remove all caches that no running process uses.", panel=COMMON, rank=2)
    runs: Path = runs_folder()
