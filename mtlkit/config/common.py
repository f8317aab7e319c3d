"""Options that several commands share: the device, training, the shape of fresh weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from mtlkit.config.architecture import MOST_LAYERS, SIZES, Architecture, Attention
from mtlkit.config.block_options import MODERN, BlockName, gated_width
from mtlkit.config.checked import LARGEST, CheckedOptions
from mtlkit.config.hub_ids import LANGUAGES, LICENSES, parse_language, parse_license
from mtlkit.config.option import COMMON, option
from mtlkit.config.registries.trackers import TRACKERS, parse_track
from mtlkit.config.save_every import SAVE_EVERY, parse_save_every
from mtlkit.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
Split = Literal["test", "validation", "none"]
OnBadRow = Literal["error", "skip"]
OptimizerName = Literal["adamw", "muon"]
OnSpike = Literal["ignore", "skip", "stop"]
Size = Literal["xs", "s", "m", "l"]
ENCODINGS = ("utf-8", "latin-1", "utf-16", "cp1252")  # that completion offers

# panels of --help
OBJECTIVE, TRAINING, DATA, MODEL = "Objective", "Training", "Data", "Model"
OUTPUT, RUN, MACHINE = "Output", "Run", "Machine"
CARD, HUB = "Model card", "Hugging Face hub"


def run_argument(help: str) -> Any:
    """The run that a command is about."""
    return option(None, help, panel=COMMON, positional=True, metavar="RUN", default_text="the newest run", complete="run")


def runs_folder() -> Any:
    """The folder in which to look for the newest run."""
    return option(Path("runs"), "Folder with your runs.", panel=MODEL, metavar="DIR")


def split_of_report(help: str) -> Any:
    """The rows that heads of runs are evaluated on, if any."""
    return option("test", help, panel=COMMON, rank=2)


def license_option(panel: str, *, default_text: str | None = None, advanced: bool = False) -> Any:
    """The license of a model, for its card."""
    return option(
        None,
        "License of the model for its card, as an id of the Hugging Face hub, such as apache-2.0.",
        panel=panel,
        metavar="ID",
        parse=parse_license,
        default_text=default_text,
        advanced=advanced,
        complete=LICENSES,
        rank=4,
    )


def language_option(panel: str, *, default_text: str | None = None, advanced: bool = False) -> Any:
    """The languages of a model's texts, for its card."""
    return option(
        [],
        "Language of the texts for the card, as a code such as en. Repeatable.",
        panel=panel,
        metavar="CODE",
        parse=parse_language,
        default_text=default_text,
        advanced=advanced,
        complete=tuple(LANGUAGES),
        rank=4,
    )


@dataclass(frozen=True, kw_only=True)
class MachineOptions(CheckedOptions):
    """Options of every command that runs a model."""

    device: Device = option("auto", "Where to compute; auto uses a GPU if there is one.", panel=MACHINE)
    seed: int = option(0, "Random seed.", panel=MACHINE, minimum=0, maximum=LARGEST)


@dataclass(frozen=True, kw_only=True)
class PromptOptions(CheckedOptions):
    """Options of every command that turns texts into vectors."""

    prompt: str | None = option(
        None,
        "Text to put before every input: the name of one of the model's prompts, a text, or none.",
        panel=DATA,
        metavar="NAME|TEXT",
        default_text="the model's default prompt",
        advanced=True,
    )
    literal_special_tokens: bool | None = option(
        None,
        "Read special tokens such as [SEP] in the input as plain text.",
        panel=DATA,
        default_text="as the model's own library does; on for tokenizers trained by mtlkit",
        advanced=True,
    )


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(MachineOptions):
    """Options of every command that trains."""

    precision: Precision = option(
        "auto",
        "Number format of matrix products; auto is bf16 on CUDA and fp32 elsewhere. On a CPU with AVX-512 BF16 or AMX, bf16 is "
        "faster.",
        panel=MACHINE,
        advanced=True,
    )
    out: Path | None = option(
        None,
        "Folder to write the run to.",
        panel=COMMON,
        metavar="DIR",
        rank=3,
        default_text="named after the command, in --runs",
    )
    overwrite: bool = option(False, "Replace an existing run.", panel=RUN)
    runs: Path = option(Path("runs"), "Folder with your runs.", metavar="DIR", panel=RUN, rank=1)
    resume: str | None = option(
        None,
        "Resume from the last checkpoint: of RUN with all its options, or of the same command typed again.",
        panel=RUN,
        metavar="[RUN]",
        complete="run",
    )
    save_every: str = option(
        SAVE_EVERY,
        "Save a checkpoint every so many steps, such as 500, or minutes, such as 10m.",
        panel=RUN,
        metavar="STEPS|TIME",
        parse=parse_save_every,
        rank=1,
        advanced=True,
    )
    keep_state: bool = option(False, "Keep the last checkpoint, so that --extend can train on.", panel=RUN, advanced=True)
    extend: int | None = option(
        None,
        "Train for more epochs; with --resume of a finished run that used --keep-state.",
        panel=RUN,
        minimum=1,
        metavar="EPOCHS",
        advanced=True,
    )
    verbose: bool = option(False, "Show gradients, row counts and other details of every epoch.", panel=RUN)
    track: list[str] = option(
        [],
        "Also log to experiment trackers; none: to none.",
        panel=RUN,
        metavar="NAME[,NAME...]",
        parse=parse_track,
        methods=TRACKERS,
    )
    optimizer: OptimizerName | None = option(
        None,
        "muon: orthogonalize the updates of the matrices of blocks (Jordan et al. 2024), and use AdamW for the rest.",
        panel=TRAINING,
        rank=1,
        default_text="muon for fresh weights of pretrain, else adamw",
        advanced=True,
    )
    on_spike: OnSpike = option(
        "ignore",
        "When a loss or gradient is far above normal: ignore it, skip the step, or save a checkpoint and stop.",
        panel=TRAINING,
        advanced=True,
    )
    accumulate: int | None = option(
        None,
        "Batches per optimizer step, of all processes together.",
        panel=TRAINING,
        metavar="BATCHES",
        minimum=1,
        default_text="1 per process",
        advanced=True,
    )
    recompute: bool = option(
        False,
        "Compute the inner states of blocks again in the backward pass instead of keeping them: less memory, more time, the same "
        "result.",
        panel=TRAINING,
        advanced=True,
    )
    license: str | None = license_option(RUN, advanced=True)
    language: list[str] = language_option(RUN, advanced=True)
    encoding: str = option("utf-8", "Encoding of text files.", metavar="NAME", panel=DATA, complete=ENCODINGS, rank=1)
    on_bad_row: OnBadRow = option(
        "error", "Malformed rows: stop at the first, or skip and count them.", panel=DATA, rank=1, advanced=True
    )
    weight_decay: float = option(
        0.01, "Weight decay of matrices; norms and biases have none.", panel=TRAINING, minimum=0, rank=1, advanced=True
    )
    clip: float = option(1.0, "Maximum gradient norm (0 = no clipping).", panel=TRAINING, minimum=0, advanced=True)
    warmup: float = option(
        0.1,
        "Share of the steps in which the learning rate rises to its peak.",
        panel=TRAINING,
        minimum=0,
        maximum=1,
        rank=1,
        advanced=True,
    )
    dropout: float = option(
        0.1, "Dropout on embeddings, in blocks and before heads.", panel=TRAINING, minimum=0, maximum=1, rank=1, advanced=True
    )

    @property
    def derived_defaults(self) -> dict[str, Any]:
        return {"accumulate": 1, "optimizer": "adamw"}

    @property
    def muon(self) -> bool:
        """Whether Muon updates the matrices of blocks."""
        return bool(self.settled("optimizer") == "muon")

    @property
    def batches_per_step(self) -> int:
        """Batches per optimizer step."""
        return self.accumulate or 1


@dataclass(frozen=True, kw_only=True)
class ShapeOptions(CheckedOptions):
    """The shape of fresh weights."""

    size: Size = option(
        "xs",
        "Size of a model trained from scratch: layers x width are xs 2x128, s 4x256, m 6x384, l 12x768.",
        panel=COMMON,
        rank=6,
    )
    layers: int | None = option(
        None, "Number of layers, instead of that of --size.", panel=MODEL, minimum=1, maximum=MOST_LAYERS, advanced=True
    )
    dim: int | None = option(None, "Width, instead of that of --size.", panel=MODEL, minimum=1, advanced=True)
    heads: int | None = option(
        None, "Attention heads per layer, instead of those of --size.", panel=MODEL, minimum=1, advanced=True
    )
    block: BlockName | None = option(
        None,
        "Blocks of fresh weights: those of GPT-2, or modern ones: rotary positions, gated MLPs, no biases (ModernBERT).",
        panel=MODEL,
        default_text="modern for pretrain, else gpt2",
        advanced=True,
    )
    vocab_size: int = option(8192, "Vocabulary size of a new tokenizer.", panel=MODEL, minimum=300, advanced=True)
    lowercase: bool = option(False, "Make a new tokenizer ignore case.", panel=MODEL, advanced=True)

    def shape(self) -> tuple[int, int, int]:
        """Layers, width, attention heads. Raises UsageError for a width that the heads cannot share."""
        layers, dim, heads = SIZES[self.size]
        shape = self.layers or layers, self.dim or dim, self.heads or heads
        if shape[1] % shape[2]:
            raise UsageError(f"--dim {shape[1]} is not a multiple of --heads {shape[2]}; choose one that is")
        return shape

    def fresh_architecture(self, vocab_size: int, length: int, attention: Attention, dropout: float) -> Architecture:
        """The architecture of fresh weights for texts of `length` tokens. Raises UsageError."""
        layers, dim, heads = self.shape()
        usual = Architecture(vocab_size, layers, dim, heads, length, attention, dropout)
        if self.settled("block") != "modern":
            return usual
        return replace(usual, embedding_norm=True, hidden=gated_width(dim), family="modernbert", blocks=MODERN)
