"""`eval --out-of-scope`: how well heads recognize texts that fit none of their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.data.datasets.corpus import read_texts
from mtlkit.data.datasets.labelled_rows import ReadOptions
from mtlkit.data.sources.rows import SkippedRows
from mtlkit.errors import DataError, UsageError, listed
from mtlkit.evaluation.out_of_scope import Separation, separation
from mtlkit.inference.loaded_model import LoadedModel
from mtlkit.inference.scope.rejection import predicted
from mtlkit.inference.scope.scope import Values
from mtlkit.progress import counting
from mtlkit.recipes.evaluation.rows import EvaluatedRows
from mtlkit.seeding import generator


def check_out_of_scope(options: EvalOptions, loaded: LoadedModel, names: Sequence[str]) -> None:
    """Raises UsageError if no head of these tasks can reject. Call it before any work."""
    if options.out_of_scope is None:
        return
    if options.of_vectors or options.text or not names:
        raise UsageError("--out-of-scope measures heads; remove --sts, --probe and --text, or specify a model with heads")
    loaded.scopes_for(of_single_texts(loaded, names))


def of_single_texts(loaded: LoadedModel, names: Sequence[str]) -> list[str]:
    """The heads that read single texts. Raises UsageError if there are none."""
    single = [name for name in names if loaded.specs[name].pair is None]
    if not single:
        raise UsageError(f"--out-of-scope has single texts, and {listed(names)} reads pairs of texts; remove it")
    return single


def measure_out_of_scope(
    options: EvalOptions, loaded: LoadedModel, rows: Mapping[str, EvaluatedRows], tally: SkippedRows
) -> dict[str, Separation]:
    """Compares the scores of the evaluated rows with those of foreign texts, by task. Raises DataError, UsageError."""
    if options.out_of_scope is None:
        return {}
    reading = ReadOptions(options.encoding, options.on_bad_row, tally)
    texts = list(read_texts(options.out_of_scope, reading, dict(loaded.checkpoint.sources)))
    if not texts:
        raise DataError(f"--out-of-scope {options.out_of_scope}: no texts but blank ones, which are always rejected")
    found = {}
    for name in loaded.scopes_for(of_single_texts(loaded, list(rows))):
        fitting, foreign = (scores_of(loaded, name, some) for some in (rows[name].texts, texts))
        found[name] = separation(fitting, foreign, generator(options.seed, "out of scope", name))
    return found


def scores_of(loaded: LoadedModel, task: str, texts: Sequence[str]) -> Values:
    """The scores of N texts, (N,); higher ones fit the classes of a head better."""
    encoded = loaded.encode(texts)
    with counting(f"scoring texts for {task}", "encoded", len(encoded)):
        vectors = loaded.vectors_of(task)
        outputs = loaded.engine.outputs(encoded, [task, vectors])
    return loaded.scopes[task].score(predicted(loaded.specs[task], outputs[task], outputs[vectors]))
