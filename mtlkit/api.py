"""The commands as Python functions. Their keyword arguments are the options of the command line, declared once in `config/`.

A function returns its result and prints nothing; in a notebook, a training shows its progress in one output. All raise
UsageError for an option that cannot be carried out (its subclass OptionError names the option), DataError, IntegrityError,
DivergedError and NetworkError: the classes of `mtlkit.errors`. Torch is imported by the first call that needs it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mtlkit.config.commands.check_data import CheckDataOptions
from mtlkit.config.commands.embed import EmbedOptions
from mtlkit.config.commands.evaluate import EvalOptions
from mtlkit.config.commands.heads import HeadsOptions
from mtlkit.config.commands.join import JoinOptions
from mtlkit.config.commands.mine import MineOptions
from mtlkit.config.commands.predict import PredictOptions
from mtlkit.config.commands.pretrain import PretrainOptions
from mtlkit.config.commands.report import ReportOptions
from mtlkit.config.commands.run_commands import CurvesOptions, ExportOptions, InfoOptions
from mtlkit.config.commands.runs import RunsOptions
from mtlkit.config.commands.serve import ServeOptions
from mtlkit.config.commands.train_mtl import TrainMtlOptions
from mtlkit.config.commands.train_sentence import TrainSentenceOptions
from mtlkit.config.keywords import takes
from mtlkit.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mtlkit.recipes.check_data import DataCheck
    from mtlkit.recipes.curves import ShownCurves
    from mtlkit.recipes.evaluate import Evaluation
    from mtlkit.recipes.exporting.job import Exported
    from mtlkit.recipes.heads import ChangedHeads
    from mtlkit.recipes.join import Joined
    from mtlkit.recipes.mine import Mined
    from mtlkit.recipes.report import Reported
    from mtlkit.report.run_facts import RunFacts
    from mtlkit.report.run_rows import RunRow
    from mtlkit.training.events import Finished


@takes(PretrainOptions)
def pretrain(options: PretrainOptions) -> Finished:
    """Train a tokenizer and a base on raw text and write the run, as `mtlkit pretrain` does."""
    from mtlkit.recipes.pretrain import stream
    from mtlkit.report.training.notebook import run_shown

    return run_shown(stream(options))


@takes(TrainSentenceOptions)
def train_sentence(options: TrainSentenceOptions) -> Finished:
    """Train a sentence encoder and write the run, as `mtlkit train-sentence` does."""
    from mtlkit.recipes.train_sentence import stream
    from mtlkit.report.training.notebook import run_shown

    return run_shown(stream(options))


@takes(TrainMtlOptions)
def train_mtl(options: TrainMtlOptions) -> Finished:
    """Train one head per task on one backbone and write the run, as `mtlkit train-mtl` does."""
    from mtlkit.recipes.train_mtl import stream
    from mtlkit.report.training.notebook import run_shown

    return run_shown(stream(options))


@takes(EmbedOptions)
def embed(options: EmbedOptions) -> NDArray[np.float32]:
    """Turn texts into vectors, as `mtlkit embed` does: float32, (texts, dim).

    With `similarity=True` the result is the similarity of every pair of texts instead, (texts, texts). To embed a file that does
    not fit into memory, use `embed_to_file`. To embed more than once, load the model once with `mtlkit.load`.
    """
    import numpy as np

    from mtlkit.recipes.embed import embed as run
    from mtlkit.recipes.embed import similarities
    from mtlkit.recipes.inputs.open_model import open_model

    if options.output is not None:
        raise UsageError("embed() returns vectors and writes no file; use mtlkit.embed_to_file(output=...)")
    loaded, _ = open_model(options)
    if options.similarity:
        return similarities(options, loaded, sys.stdin).values
    vectors = [part.vectors for part in run(options, loaded, sys.stdin)]
    return np.concatenate(vectors) if vectors else np.empty((0, loaded.output_dim(options.dim)), np.float32)


@takes(EmbedOptions)
def embed_to_file(options: EmbedOptions) -> Path:
    """Write the vectors of texts to `output`, a file or a folder of parts, and return its path, as `mtlkit embed --output` does.

    Memory does not grow with the number of texts. A file that exists needs `overwrite=True`; `resume=True` continues an
    interrupted run.
    """
    from mtlkit.recipes.embed import embed_to_output as run
    from mtlkit.recipes.inputs.open_model import open_model
    from mtlkit.recipes.outputs.write import check_output

    check_output(options)
    assert options.output is not None
    for _ in run(options, open_model(options)[0], sys.stdin):
        pass
    return options.output


@takes(PredictOptions)
def predict(options: PredictOptions) -> list[dict[str, Any]]:
    """Predict with every head of a model, as `mtlkit predict` does.

    Returns one dict per text: {"text": ..., "tasks": {task: answer}}, with an answer as `LoadedModel.predict` describes it. For
    pairs of texts (`pair`), they have {"pair": [first, second]} instead of the text. To write a file, use `predict_to_file`.
    """
    if options.output is not None:
        raise UsageError("predict() returns predictions and writes no file; use mtlkit.predict_to_file(output=...)")
    from mtlkit.recipes.inputs.open_model import open_model
    from mtlkit.recipes.predict import predict as run

    return list(run(options, open_model(options)[0], sys.stdin))


@takes(PredictOptions)
def predict_to_file(options: PredictOptions) -> Path:
    """Write the predictions for texts to `output`, a file or a folder of parts, and return its path, as `mtlkit predict --output`
    does. `resume`, `overwrite` and memory are as for `embed_to_file`."""
    from mtlkit.recipes.inputs.open_model import open_model
    from mtlkit.recipes.outputs.write import check_output
    from mtlkit.recipes.predict import predict_to_output as run

    check_output(options)
    assert options.output is not None
    for _ in run(options, open_model(options)[0], sys.stdin):
        pass
    return options.output


@takes(JoinOptions)
def join(options: JoinOptions) -> Joined:
    """Check that an output in parts is complete, as `mtlkit join` does, and with `output` join its parts into one file."""
    from mtlkit.recipes.join import join as run

    return run(options)


@takes(EvalOptions)
def evaluate(options: EvalOptions) -> Evaluation:
    """Measure a model on held-out data, as `mtlkit eval` does. `result.to_json()` is the document that `--json` prints; with
    `errors`, also write the misclassified rows to a file."""
    from mtlkit.recipes.evaluate import evaluate as run
    from mtlkit.recipes.evaluation.errors_file import check_errors, write_errors
    from mtlkit.recipes.inputs.open_model import open_against, open_model

    check_errors(options)
    result = run(options, open_model(options)[0], open_against(options))
    if options.errors is not None:
        write_errors(options, result.rows)
    return result


@takes(MineOptions)
def mine(options: MineOptions) -> Mined:
    """Find hard negatives for pairs of texts and write them to `output`, as `mtlkit mine` does."""
    from mtlkit.recipes.inputs.open_model import open_model
    from mtlkit.recipes.mine import check_output
    from mtlkit.recipes.mine import mine as run

    check_output(options)
    return run(options, open_model(options)[0])


@takes(CheckDataOptions)
def check_data(options: CheckDataOptions) -> DataCheck:
    """Look for problems in data before training on it, as `mtlkit check-data` does. `result.findings` lists them."""
    from mtlkit.recipes.check_data import check_data as run

    return run(options)


@takes(CurvesOptions)
def curves(options: CurvesOptions) -> ShownCurves:
    """Read the losses and metrics of a run, as `mtlkit curves` does; with `output`, also draw them to a file."""
    from mtlkit.recipes.curves import curves as run

    return run(options)


@takes(ReportOptions)
def write_report(options: ReportOptions) -> Reported:
    """Write a page about a run, as `mtlkit report` does."""
    from mtlkit.recipes.report import report as run

    return run(options)


@takes(RunsOptions)
def list_runs(options: RunsOptions) -> list[RunRow]:
    """The runs of a folder with their state, size and validation scores, as `mtlkit runs` lists them."""
    from mtlkit.recipes.runs import runs as run

    if options.delete or options.keep is not None:
        raise UsageError("list_runs() deletes nothing; use 'mtlkit runs --delete RUN' or 'mtlkit runs --keep N'")
    return run(options)


@takes(InfoOptions)
def info(options: InfoOptions) -> RunFacts:
    """Describe a run and verify its files, as `mtlkit info` does. `result.problems` lists what is damaged or missing."""
    from mtlkit.recipes.info import info as run

    if options.caches or options.clear_caches:
        raise UsageError("info() describes a run; use 'mtlkit info --caches' or 'mtlkit info --clear-caches' for the caches")
    return run(options)


@takes(HeadsOptions)
def heads(options: HeadsOptions) -> ChangedHeads:
    """Drop, rename or add heads of a run without training, as `mtlkit heads` does. `result.out` is the new run."""
    from mtlkit.recipes.heads import heads as run

    return run(options)


@takes(ExportOptions)
def export(options: ExportOptions) -> Exported:
    """Write a model for other tools, as `mtlkit export` does. `result.out` is the folder.

    With `push="USER/NAME"`, `result.push` is what would be sent to the Hugging Face hub; `yes=True` sends it.
    """
    from mtlkit.recipes.export import export as run

    return run(options)


@takes(ServeOptions)
def serve(options: ServeOptions) -> None:
    """Serve a model over HTTP until SIGTERM or Ctrl-C, as `mtlkit serve` does."""
    from mtlkit.recipes.inputs.open_model import open_model
    from mtlkit.recipes.serve import check_installed, open_server

    check_installed()
    open_server(options, open_model(options)[0]).run()
