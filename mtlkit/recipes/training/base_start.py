"""The model that `pretrain` trains: fresh weights, or a model that is trained further on raw text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from tokenizers import Tokenizer
from torch import nn

from mtlkit.config.architecture import Architecture, Attention, Encoding
from mtlkit.config.commands.pretrain import LanguageObjectiveName, PretrainOptions
from mtlkit.config.common import ShapeOptions
from mtlkit.config.finish import parse_finish
from mtlkit.config.vector_settings import VectorSettings
from mtlkit.data.masking import masking_of
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import UsageError, listed
from mtlkit.inference.compute import Compute
from mtlkit.inference.find_model import ModelRef, find_model
from mtlkit.inference.load_weights import load_weights, read_description
from mtlkit.model.encoder import Encoder, own_encoder
from mtlkit.model.interop.auto.models import check_supported
from mtlkit.model.interop.families.base import has_causal_head
from mtlkit.model.masked import MaskedLanguageModel
from mtlkit.model.multitask import MultiTaskModel
from mtlkit.model.prediction_head import PredictionHead
from mtlkit.model.randomness import draw_from, drawing_from
from mtlkit.recipes.inputs.model_record import model_record
from mtlkit.recipes.training.initial_model import set_dropout
from mtlkit.recipes.training.model_size import check_size
from mtlkit.training.finishing import MaskedFinish
from mtlkit.training.objectives.language import LanguageObjective, MaskedTokens, NextToken

ATTENTION: dict[LanguageObjectiveName, Attention] = {"clm": "causal", "mlm": "bidirectional"}


@dataclass(frozen=True)
class BaseStart:
    """An encoder to train on text, on the compute device, and the parts of its model that a run keeps. `origin` is the model that
    it was loaded from (None: fresh weights), and `head` predicts tokens, if more than the output layer does. `finish` is the last
    phase, if another objective follows."""

    backbone: Encoder
    encoder: TextEncoder
    objective: LanguageObjective
    origin: ModelRef | None = None
    head: PredictionHead | None = None
    vectors: VectorSettings = field(default_factory=VectorSettings)
    notes: tuple[str, ...] = ()
    finish: MaskedFinish | None = None

    @property
    def model(self) -> nn.Module:
        """All that trains."""
        return self.objective.model if self.finish is None else self.finish.model

    @property
    def last_objective(self) -> LanguageObjective:
        """The objective of the last phase."""
        return self.objective if self.finish is None else self.finish.objective

    @property
    def last_head(self) -> PredictionHead | None:
        """The head that the trained base predicts tokens with."""
        return self.head if self.finish is None else self.finish.objective.model.head

    @property
    def parent(self) -> dict[str, str] | None:
        """The path and digest of the origin, for records."""
        return model_record(self.origin) if self.origin else None


def find_origin(options: PretrainOptions) -> ModelRef | None:
    """The model to train further; None for fresh weights. Raises UsageError for options that do not fit it, IntegrityError."""
    if options.fresh:
        check_finish(options, options.objective or "clm")
        check_size(fresh_architecture(options, options.vocab_size), [])
        return None
    usual = PretrainOptions()
    shapes = [name for name in ShapeOptions.__dataclass_fields__ if getattr(options, name) != getattr(usual, name)]
    if shapes:
        names = listed(f"--{name.replace('_', '-')}" for name in shapes)
        raise UsageError(f"{names}: for fresh weights, and {options.init} has its own shape and tokenizer; remove it, or --init")
    origin = find_model(options.init, options.runs, ())
    architecture = read_description(origin.path, classifier=False).architecture
    check_supported(architecture, f"pretrain --init {origin}", "train-sentence and train-mtl start from it")
    if options.context > architecture.max_length and options.context != usual.context:
        raise UsageError(f"--context {options.context}: {origin} has {architecture.max_length} positions; give at most that many")
    check_size(architecture, [], fresh=False)
    return origin


def fresh_architecture(options: PretrainOptions, vocabulary: int) -> Architecture:
    """The shape of fresh weights, without dropout."""
    return options.fresh_architecture(vocabulary, options.context, ATTENTION[options.objective or "clm"], dropout=0.0)


def fresh_start(options: PretrainOptions, tokenizer: Tokenizer, compute: Compute) -> BaseStart:
    """An encoder with random weights. Weights and dropout draw from the same generator."""
    encoder = TextEncoder(tokenizer, Encoding(options.context))
    random = torch.Generator().manual_seed(options.seed)
    with drawing_from(random):
        architecture = replace(fresh_architecture(options, tokenizer.get_vocab_size()), dropout=options.dropout)
        backbone = Encoder(architecture)
        head = PredictionHead(architecture) if has_head(options.objective or "clm", architecture) else None
    return _start(BaseStart(backbone, encoder, NextToken(backbone), head=head), options, compute, random)


def continued_start(options: PretrainOptions, origin: ModelRef, compute: Compute) -> BaseStart:
    """A model to train further, without its heads. Raises UsageError, IntegrityError."""
    described, random = read_description(origin.path, classifier=False).architecture, torch.Generator().manual_seed(options.seed)
    own = next(name for name, attention in ATTENTION.items() if attention == described.attention)
    objective = options.objective or own
    check_finish(options, objective)
    headed = has_head(objective, described)
    loaded = load_weights(origin.path, classifier=False, head=headed or objective == own)
    backbone, head, notes = own_encoder(loaded.model.backbone), loaded.head if headed else None, [loaded.note]
    if objective != own:
        backbone.attend(ATTENTION[objective])
        now = "only what comes before it" if objective == "clm" else "the whole text"
        notes.append(
            f"--objective {objective}: a token sees {now}, unlike before; --objective {own} keeps the attention of {origin}"
        )
    set_dropout(MultiTaskModel(backbone), options.dropout)
    if headed and head is None:
        with drawing_from(random):
            head = PredictionHead(backbone.architecture).fit_scale(backbone.tokens.weight)
    if loaded.model.tasks:
        notes.append(f"without the heads of {origin}: {listed(loaded.model.tasks)}")
    start = BaseStart(
        backbone, loaded.encoder, NextToken(backbone), origin, head, loaded.checkpoint.vectors, tuple(filter(None, notes))
    )
    return _start(start, options, compute, random)


def has_head(objective: LanguageObjectiveName, architecture: Architecture) -> bool:
    """Whether an objective predicts tokens through a head."""
    return objective == "mlm" or has_causal_head(architecture)


def _start(start: BaseStart, options: PretrainOptions, compute: Compute, random: torch.Generator) -> BaseStart:
    """The start on the device with its objective, where dropout draws from `random`."""
    before = NextToken(start.backbone, start.head)
    objective: LanguageObjective = before
    if start.backbone.architecture.attention == "bidirectional" and start.head is not None:
        objective = _masked_tokens(start, start.head, options)
    finish = None
    if options.finish is not None:
        with drawing_from(random):
            head = PredictionHead(start.backbone.architecture)
        before.model.requires_grad_(True)
        finish = MaskedFinish(before, _masked_tokens(start, head, options), parse_finish(options.finish))
        draw_from(random, finish.model.to(compute.device))
    else:
        draw_from(random, objective.model.to(compute.device).requires_grad_(True))
    return replace(start, objective=objective, finish=finish)


def _masked_tokens(start: BaseStart, head: PredictionHead, options: PretrainOptions) -> MaskedTokens:
    """Masked tokens as the objective, with this head."""
    rows = start.backbone.architecture.vocab_size
    masking = masking_of(start.encoder.tokenizer, rows, options.mask_share, options.mask)
    return MaskedTokens(MaskedLanguageModel(start.backbone, head), masking, options.seed)


def check_finish(options: PretrainOptions, objective: LanguageObjectiveName) -> None:
    """Raises UsageError for `--finish` of a base that predicts masked tokens anyway."""
    if options.finish is not None and objective != "clm":
        raise UsageError(
            f"--finish {options.finish} follows next-token prediction, and masked tokens are predicted from the start; "
            "remove it, or use --objective clm"
        )
