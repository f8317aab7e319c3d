"""Measures how well a base predicts given texts, or the texts held out of its training."""

from __future__ import annotations

from typing import Any

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.data.datasets.corpus import read_corpus, read_texts
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.masking import masking_of
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import UsageError
from mtlkit.inference.engines.torch_engine import TorchEngine
from mtlkit.inference.load_weights import prediction_head_of
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.model.encoder import own_encoder
from mtlkit.model.interop.families.base import has_causal_head
from mtlkit.model.masked import MaskedLanguageModel
from mtlkit.recipes.evaluation.masked import masked_perplexity
from mtlkit.recipes.evaluation.perplexity import perplexity, read_held_out
from mtlkit.recipes.training.resuming.options import restored, upgraded


def evaluate_base(options: EvalOptions, loaded: LoadedModel, tally: SkippedRows) -> dict[str, Any]:
    """The perplexity of a base, of masked tokens if it predicts these. Raises UsageError if the model is not a base or the
    options do not apply to one."""
    if not options.text and (loaded.record is None or loaded.record.stage != "base"):
        ways = f"measure its vectors with --sts SOURCE or --probe, or train heads with 'mtlkit train-mtl --init {loaded.name}'"
        raise UsageError(f"{loaded.without_heads} to evaluate; {ways}")
    if options.prompt is not None:
        raise UsageError("--prompt applies to vectors and heads, not to the perplexity of a base; remove it")
    architecture = loaded.checkpoint.architecture
    head = prediction_head_of(loaded.path, architecture)
    causal = architecture.attention == "causal"
    if head is None and (not causal or has_causal_head(architecture)):
        raise UsageError(
            f"--text needs a base that predicts the next token or masked tokens, and {loaded.name} does neither; remove it"
        )
    if not isinstance(engine := loaded.engine, TorchEngine):
        raise UsageError(f"{loaded.name} has no heads, and perplexity needs weights; name the run itself, with --backend torch")
    if options.precision == "int8":
        raise UsageError("--precision int8 applies to vectors and heads, not to the perplexity of a base; use fp32 or bf16")
    trained = PretrainOptions(packing="stream")
    if loaded.record is not None and loaded.record.stage == "base":
        trained = restored(PretrainOptions, upgraded(loaded.record.options))
    texts = evaluation_texts(options, loaded, trained, tally)
    held_out = read_held_out(texts, loaded.encoder, options.packing or trained.packing)
    backbone, compute = own_encoder(engine.model.backbone), engine.compute
    if head is not None:
        head = head.to(compute.device)
    if causal:
        return perplexity(backbone, held_out, compute, head=head if has_causal_head(architecture) else None)
    assert head is not None
    masking = masking_of(loaded.encoder.tokenizer, architecture.vocab_size, trained.mask_share, trained.mask)
    model = MaskedLanguageModel(backbone, head)
    return masked_perplexity(model, held_out, masking, min(trained.context, architecture.max_length), compute)


def evaluation_texts(options: EvalOptions, loaded: LoadedModel, trained: PretrainOptions, tally: SkippedRows) -> list[str]:
    """The texts to measure perplexity on: those of `--text`, else the texts held out of the base's training, with these options.
    Raises UsageError if that is not known."""
    record = loaded.record
    if options.text or record is None:
        reading, records = ReadOptions(options.encoding, options.on_bad_row, tally), dict(loaded.checkpoint.sources)
        return [text for source in options.text for text in read_texts(source, reading, records)]
    if "sources" not in record.options:
        raise UsageError(f"{loaded.name} is an export, so the texts that its base held out are not known; name texts with --text")
    reading = ReadOptions(trained.encoding, trained.on_bad_row, tally)
    return read_corpus(record.data["sources"], reading, record.seed, trained.dedup).held_out
