"""The tables of `check-data`."""

from __future__ import annotations

from rich.console import Group

from mtlkit.data.datasets.pairs import HELD_OUT_MOST
from mtlkit.data.labels.reader import alike
from mtlkit.data.quality.findings import MOST_TOKENS, SplitSummary, TaskSummary
from mtlkit.errors import counted, shorten
from mtlkit.evaluation.bag_of_words import WordsBaseline
from mtlkit.report.columns import narrow
from mtlkit.report.findings import LABEL, spellings
from mtlkit.report.tables import number, titled

MOST_CLASSES = 10  # in a table
PAIRS = ("pairs", "triplets", "similarity")


def task_tables(task: TaskSummary, width: int) -> list[Group]:
    """One row per split with its size and text lengths; then one row per class with its rows in each split."""
    lengths = [split.lengths for split in task.splits]
    figures = [
        ["pairs" if task.kind in PAIRS else "rows", *(f"{split.rows:,}" for split in task.splits)],
        *([["no label", *(f"{split.gaps:,}" for split in task.splits)]] if any(split.gaps for split in task.splits) else []),
        ["tokens: median", *(f"{length.median:,.0f}" for length in lengths)],
        ["95 % below", *(f"{length.most_are_below:,.0f}" for length in lengths)],
        ["longest", *(f"{length.longest:,}{'+' if length.longest == MOST_TOKENS else ''}" for length in lengths)],
        [
            "in windows %" if task.splits[0].words else "cut %",
            *(number(100 * split.lengths.cut / split.lengths.texts, 1) for split in task.splits),
        ],
    ]
    if task.splits[0].words:
        figures.insert(1, ["words", *(f"{split.words:,}" for split in task.splits)])
    table = narrow({"split": [split_name(split) for split in task.splits]}, figures, width)
    title = f"{task.name}: texts for pretraining" if task.kind == "text" else f"{task.name} ({task.source}): {task.kind}"
    more = [class_table(task, width)] if task.classes else [score_table(task, width)] if task.splits[0].scores else []
    if task.splits[0].spans:
        more.append(span_table(task, width))
    return [titled(title, table), *more]


def split_name(split: SplitSummary) -> str:
    return f"{split.name} (held out)" if split.held_out else split.name


def class_table(task: TaskSummary, width: int) -> Group:
    """Rows and share of each class in each split, or words of each tag, the largest in train first; of many the first and the
    last."""
    classes = task.classes
    names = classes if len(classes) <= MOST_CLASSES else [*classes[: MOST_CLASSES - 2], "…", *classes[-2:]]
    figures = []
    for split in task.splits:
        rows = [None if name == "…" and name not in classes else split.classes.get(name, 0) for name in names]
        figures.append([split.name, *("" if count is None else f"{count:,}" for count in rows)])
        figures.append(["%", *("" if count is None else number(100 * count / (split.words or split.rows), 1) for count in rows)])
    train = list(task.splits[0].classes.values()) or [1]
    twins = {name: spelling for group in alike(classes) for name, spelling in zip(group, spellings(group), strict=True)}
    names = [twins.get(name, name) for name in names]
    if task.splits[0].words:
        return titled(f"{task.name}: words of {counted(len(classes), 'tag')}", narrow({"tag": names}, figures, width))
    title = f"{task.name}: {counted(len(classes), 'class', 'classes')} (largest / smallest in train: {train[0] / train[-1]:.1f})"
    return titled(title, narrow({"class": names}, figures, width))


def span_table(task: TaskSummary, width: int) -> Group:
    """The spans of each type in each split, the largest in train first."""
    types = list(dict.fromkeys(name for split in task.splits for name in split.spans))
    figures = []
    for split in task.splits:
        total = sum(split.spans.values())
        figures.append([split.name, *(f"{split.spans.get(name, 0):,}" for name in types)])
        figures.append(["%", *(number(100 * split.spans.get(name, 0) / max(1, total), 1) for name in types)])
    title = f"{task.name}: {counted(sum(task.splits[0].spans.values()), 'span')} of {counted(len(types), 'type')} in train"
    return titled(title, narrow({"type": types}, figures, width))


def score_table(task: TaskSummary, width: int) -> Group:
    """One row per split with the range of its scores."""
    scored = [(split.name, split.scores) for split in task.splits if split.scores]
    figures = [
        ["lowest score", *(f"{scores.lowest:g}" for _, scores in scored)],
        ["median", *(f"{scores.median:g}" for _, scores in scored)],
        ["highest", *(f"{scores.highest:g}" for _, scores in scored)],
        ["distinct", *(f"{scores.different:,}" for _, scores in scored)],
    ]
    title = f"{task.name}: scores (column '{shorten('+'.join(task.record.label), LABEL)}')"
    return titled(title, narrow({"split": [name for name, _ in scored]}, figures, width))


def absences(task: TaskSummary) -> list[str]:
    """Messages about missing splits and their replacements."""
    messages = []
    if task.kind in ("text", "distill"):
        return [f"{task.name} has no validation split: 5% of all texts are held out"] if task.absent else []
    if "validation" in task.absent:
        whole = "whole texts" if any(split.words for split in task.splits) else "stratified by class"
        rows = f"at most {HELD_OUT_MOST:,} pairs" if task.kind in PAIRS else whole
        messages.append(f"no validation split: 10% of train is held out, {rows}")
    if "test" in task.absent:
        messages.append("no test split: results on validation rows are optimistic, as these also choose the best epoch")
    return [f"{task.name} has {message}" for message in messages]


def baseline_message(task: str, baseline: WordsBaseline | None) -> str:
    """The score of a bag-of-words model on a task, and how it was measured."""
    if baseline is None:
        return f"{task}: no bag-of-words baseline; it needs one class per row, and two rows of each of two classes"
    low, high = baseline.interval.ends
    rows = f"cross-validated on {counted(baseline.train, 'row')}, {baseline.folds} folds"
    if not baseline.folds:
        rows = f"trained on {counted(baseline.train, 'row')}, scored on {counted(baseline.rows, 'validation row')}"
    figures = f"accuracy {number(baseline.accuracy)} (95 %: {number(low)} to {number(high)})"
    return f"{task}: a bag of words (TF-IDF, logistic regression) reaches {figures}; {rows}"
