"""Options that several commands have: where to compute, how to train, the shape of fresh weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mtlkit.config.architecture import MOST_LAYERS, SIZES
from mtlkit.config.checked import LARGEST, CheckedOptions
from mtlkit.config.option import option
from mtlkit.config.save_every import SAVE_EVERY, parse_save_every
from mtlkit.errors import UsageError

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "fp32", "bf16"]
OnBadRow = Literal["error", "skip"]
OnSpike = Literal["ignore", "skip", "stop"]
Size = Literal["xs", "s", "m", "l"]

DATA, MODEL, TRAINING, RUN, MACHINE = "Data", "Model", "Training", "Run", "Machine"


@dataclass(frozen=True, kw_only=True)
class MachineOptions(CheckedOptions):
    """Every command that runs a model has these."""

    device: Device = option("auto", "Where to compute; auto takes a GPU when there is one.", panel=MACHINE)
    seed: int = option(0, "Random seed.", panel=MACHINE, minimum=0, maximum=LARGEST)


@dataclass(frozen=True, kw_only=True)
class PromptOptions(CheckedOptions):
    """Every command that turns texts into vectors has these."""

    prompt: str | None = option(
        None,
        "Put before every text: one of the model's prompts by name, or a text; 'none' for no prompt.",
        panel=DATA,
        metavar="NAME|TEXT",
        default_text="the model's default prompt",
    )
    literal_special_tokens: bool | None = option(
        None,
        "Read special tokens such as [SEP] in a text as plain text.",
        panel=DATA,
        default_text="as the model's own library; on for tokenizers trained by mtlkit",
    )


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(MachineOptions):
    """Every command that trains has these."""

    precision: Precision = option("auto", "Arithmetic; auto is bf16 on CUDA and fp32 elsewhere.", panel=MACHINE)
    out: Path | None = option(None, "Folder of the run.", panel=RUN, default_text="a folder named after the command under --runs")
    overwrite: bool = option(False, "Replace the run that stands there.", panel=RUN)
    runs: Path = option(Path("runs"), "Where runs are kept and looked for.", panel=RUN)
    resume: str | None = option(
        None,
        "Go on from the last saved state: of the same command typed again, or of RUN, which brings all its options.",
        panel=RUN,
        metavar="[RUN]",
    )
    save_every: str = option(
        SAVE_EVERY, "How often the state is saved: so many steps, or minutes such as 10m.", panel=RUN, parse=parse_save_every
    )
    keep_state: bool = option(False, "Keep the last state in the finished run, so that --extend can go on from it.", panel=RUN)
    extend: int | None = option(
        None, "With --resume of a finished run whose state was kept: so many epochs more.", panel=RUN, minimum=1
    )
    verbose: bool = option(False, "Show gradients, row counts and other details of every epoch.", panel=RUN)
    on_spike: OnSpike = option(
        "ignore",
        "A loss or gradient far above the usual: take the step all the same, skip it, or stop before it with the state saved.",
        panel=TRAINING,
    )
    encoding: str = option("utf-8", "Encoding of text files.", panel=DATA)
    on_bad_row: OnBadRow = option("error", "Malformed rows: stop at the first, or skip and count them.", panel=DATA)
    weight_decay: float = option(0.01, "Decay of weight matrices; norms and biases are left alone.", panel=TRAINING, minimum=0)
    clip: float = option(1.0, "Largest gradient norm; 0 turns clipping off.", panel=TRAINING, minimum=0)
    warmup: float = option(0.1, "Share of the steps in which the learning rate rises.", panel=TRAINING, minimum=0, maximum=1)
    dropout: float = option(0.1, "Dropout on embeddings, in blocks and before heads.", panel=TRAINING, minimum=0, maximum=1)


@dataclass(frozen=True, kw_only=True)
class ShapeOptions(CheckedOptions):
    """The shape of fresh weights."""

    size: Size = option("xs", "xs 2x128, s 4x256, m 6x384, l 12x768 (layers x width).", panel=MODEL)
    layers: int | None = option(None, "Number of blocks, in place of the size's.", panel=MODEL, minimum=1, maximum=MOST_LAYERS)
    dim: int | None = option(None, "Width, in place of the size's.", panel=MODEL, minimum=1)
    heads: int | None = option(None, "Attention heads, in place of the size's.", panel=MODEL, minimum=1)
    vocab_size: int = option(8192, "Tokens of the tokenizer that is trained.", panel=MODEL, minimum=300)
    lowercase: bool = option(False, "Fold case in the tokenizer that is trained, so that more words fit into it.", panel=MODEL)

    def shape(self) -> tuple[int, int, int]:
        """Layers, width, attention heads. Raises UsageError for a width that the heads cannot share."""
        layers, dim, heads = SIZES[self.size]
        shape = self.layers or layers, self.dim or dim, self.heads or heads
        if shape[1] % shape[2]:
            raise UsageError(f"--dim {shape[1]} is not a multiple of --heads {shape[2]}; choose one that is")
        return shape
