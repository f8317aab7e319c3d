"""Options of `mtlkit pretrain`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mtlkit.config.architecture import SIZES
from mtlkit.config.common import MODEL, OBJECTIVE, TRAINING, ShapeOptions, TrainingOptions
from mtlkit.config.finish import parse_finish
from mtlkit.config.mix import parse_mix
from mtlkit.config.option import COMMON, option

LanguageObjectiveName = Literal["clm", "mlm"]
MaskUnit = Literal["tokens", "words", "spans"]
Packing = Literal["documents", "stream"]
Dedup = Literal["near", "exact", "none"]
ADAMW_RATE, MUON_RATE, RATED_WIDTH = 2e-3, 4e-3, 256  # peak learning rates of fresh weights; that of Muon at a width
SCRATCH = "scratch"  # --init of fresh weights, and the default


@dataclass(frozen=True, kw_only=True)
class PretrainOptions(ShapeOptions, TrainingOptions):
    """Options of `mtlkit pretrain`."""

    sources: list[str] = option(
        ["sample:topic", "sample:sentiment"],
        "Texts: sample:NAME, files, folders or Hugging Face ids.",
        panel=COMMON,
        positional=True,
        metavar="SOURCE...",
        complete="source",
    )
    init: str | None = option(
        None,
        "Model to train further, with its tokenizer: a run, mini, a Hugging Face folder or id.",
        panel=COMMON,
        metavar="MODEL",
        default_text="fresh weights",
        rank=3,
        complete="init",
    )
    epochs: int | None = option(None, "Passes over the texts.", panel=COMMON, minimum=1, rank=4, default_text="6, with --init 3")
    tokens: int | None = option(None, "Tokens to train on, instead of --epochs.", panel=COMMON, minimum=1, rank=4)
    learning_rate: float | None = option(
        None,
        "Peak learning rate.",
        panel=COMMON,
        minimum=0,
        rank=7,
        default_text="of fresh weights by their width, 8e-3 for xs and 4e-3 for s; with --init 1e-4",
    )
    objective: LanguageObjectiveName | None = option(
        None,
        "What is predicted: clm, the next token; mlm, masked tokens.",
        panel=OBJECTIVE,
        default_text="what the attention of the model is for; clm for fresh weights",
    )
    finish: str | None = option(
        None,
        "Last phase: mlm:0.1 predicts masked tokens in the last tenth of the steps, which makes a bidirectional base.",
        panel=OBJECTIVE,
        metavar="mlm:SHARE",
        parse=parse_finish,
        default_text="none",
    )
    mask_share: float = option(0.3, "Share of the tokens that mlm masks.", panel=OBJECTIVE, minimum=0.01, maximum=0.9)
    mask: MaskUnit = option("tokens", "What mlm masks at once: single tokens, whole words or spans of words.", panel=OBJECTIVE)
    mix: str | None = option(
        None,
        "Share of each source in the tokens, such as wikipedia=0.6,imdb=0.4. Small sources are repeated.",
        panel=TRAINING,
        metavar="NAME=SHARE,...",
        default_text="as much as each has",
        advanced=True,
    )
    dedup: Dedup = option(
        "near",
        "Texts to leave out as they repeat earlier ones: near duplicates too, only equal ones (exact), or none.",
        panel=TRAINING,
        advanced=True,
    )
    packing: Packing = option(
        "stream",
        "How batches are filled: documents, with texts that do not see each other; stream, with windows of all texts in a row.",
        panel=TRAINING,
        advanced=True,
    )
    context: int = option(256, "Context length in tokens; at most the positions of the model.", panel=MODEL, minimum=8)
    batch_tokens: int = option(
        2048, "Tokens per batch; a step is one batch per process, or --accumulate of them.", panel=TRAINING, minimum=8
    )

    @property
    def fresh(self) -> bool:
        """Whether the weights are new."""
        return self.init in (None, SCRATCH)

    @property
    def derived_defaults(self) -> dict[str, Any]:
        if not self.fresh:
            return {**super().derived_defaults, "epochs": 3, "learning_rate": 1e-4}
        rate = self.fresh_rate() if self.optimizer in (None, "muon") else ADAMW_RATE
        return {**super().derived_defaults, "epochs": 6, "block": "modern", "optimizer": "muon", "learning_rate": rate}

    def fresh_rate(self) -> float:
        """The learning rate of fresh weights with Muon, which falls with their width; docs/results.md says why."""
        return MUON_RATE * RATED_WIDTH / max(SIZES["xs"][1], self.dim or SIZES[self.size][1])

    @property
    def shares(self) -> list[float] | None:
        """The share of each source, in order; None if `--mix` is not given. Raises UsageError."""
        return None if self.mix is None else parse_mix(self.mix, self.sources)

    @property
    def passes(self) -> int:
        """Passes over the texts."""
        return int(self.settled("epochs"))

    @property
    def peak_rate(self) -> float:
        """The peak learning rate."""
        return float(self.settled("learning_rate"))
