"""The tables and messages of `check-data`."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import PurePath

from rich.console import Group

from mtlkit.data.datasets.pairs import HELD_OUT_MOST
from mtlkit.data.labels.reader import alike
from mtlkit.data.quality.findings import MOST_TOKENS, Example, Finding, SplitSummary, TaskSummary
from mtlkit.data.quality.near_duplicates import NEAR
from mtlkit.errors import counted, listed, shorten
from mtlkit.evaluation.bag_of_words import WordsBaseline
from mtlkit.report.columns import narrow
from mtlkit.report.tables import number, titled

LABELS, LABEL = 5, 40  # labels per message, and characters of each
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
        rows = f"at most {HELD_OUT_MOST:,} pairs" if task.kind in PAIRS else "stratified by class"
        messages.append(f"no validation split: 10% of train is held out, {rows}")
    if "test" in task.absent:
        messages.append("no test split: results on validation rows are optimistic, as these also choose the best epoch")
    return [f"{task.name} has {message}" for message in messages]


def finding_message(finding: Finding) -> str:
    """A finding in one sentence."""
    return f"{finding.task}: {WORDS[finding.problem](finding)}"


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


def example_lines(example: Example, width: int) -> list[str]:
    """The location of rows, their labels if these differ, and their text: one line, or one per row if the texts differ."""
    labels = [f" {quoted([label])}" if len(set(example.labels)) > 1 else "" for label in example.labels]
    places = [place_name(location) for location in example.places] or [""] * len(labels)
    heads = [f"{location}{label}" for location, label in zip(places, labels, strict=True)]
    if example.resemblance is None:
        lines = [(" and ".join(dict.fromkeys(heads)), (example.text, example.partner))]
    else:
        second = f"{heads[1]} ({example.resemblance:.2f})"
        lines = [(heads[0], (example.text, example.partner)), (second, (example.other, example.other_partner))]
    return [f"{head}: {row_text(*texts, max(20, width - len(head) - 2))}" if texts[0].strip() else head for head, texts in lines]


def row_text(text: str, partner: str, width: int) -> str:
    """A text, or both texts of a pair side by side, shortened to fit the width."""
    half = (width - 3) // 2
    return f"{shorten(text, half)} | {shorten(partner, half)}" if partner else shorten(text, width)


def place_name(location: str) -> str:
    """The location of a row with its file name only: `train.csv:12`."""
    return PurePath(location).name


def conclusion(findings: Sequence[Finding]) -> str:
    """One line that sums up the findings."""
    spoiling = sum(finding.spoils for finding in findings)
    if not findings:
        return "no problems found"
    return f"{counted(len(findings), 'finding')}, {spoiling or 'none'} of which would invalidate a result"


def quoted(labels: Sequence[str]) -> str:
    return listed([f"'{shorten(label, LABEL)}'" for label in labels], LABELS)


def some(finding: Finding, noun: str) -> str:
    """`3 of 128 test texts`."""
    return f"{finding.rows:,} of {finding.of:,} {finding.split} {noun}"


def verb(finding: Finding, singular: str, plural: str) -> str:
    return singular if finding.rows == 1 else plural


def spellings(labels: Sequence[str]) -> list[str]:
    """Labels, escaped so that blanks and look-alike characters can be distinguished."""
    hidden = len({unicodedata.normalize("NFKC", label) for label in labels}) < len(labels)
    return [(ascii if hidden else repr)(label if len(label) <= LABEL else f"{label[:LABEL]}...") for label in labels]


def spelled(labels: Sequence[str]) -> str:
    return listed(spellings(labels), LABELS)


WORDS = {
    "blank": lambda finding: f"{some(finding, 'texts')} {verb(finding, 'is', 'are')} blank",
    "one class": lambda finding: (
        f"all {finding.of:,} {finding.split} rows have {f'the label {quoted(finding.labels)}' if finding.labels else 'no label'}"
    ),
    "alike": lambda finding: (
        f"labels {'; '.join(map(spelled, alike(finding.labels)[:LABELS]))} differ only in case, blanks or Unicode form; "
        "join them with ?strip=yes (blanks) or ?fold=yes (case, form)"
    ),
    "rare": lambda finding: (
        f"{counted(finding.rows, 'class has', 'classes have')} a single row of {finding.split} ({quoted(finding.labels)})"
    ),
    "skew": lambda finding: (
        f"the class {quoted(finding.labels[:1])} has {finding.figure:,.0f} times the rows of {quoted(finding.labels[1:])} "
        f"in {finding.split}"
    ),
    "sorted": lambda finding: (
        f"the rows of {finding.split} are sorted by label ({finding.figure:,} runs in {finding.of:,} rows): "
        "mtlkit shuffles them, also with limit=, but the first rows of the file are not a random sample"
    ),
    "unseen": lambda finding: (
        f"{some(finding, 'rows')} {verb(finding, 'has', 'have')} a label that is not in train ({quoted(finding.labels)})"
    ),
    "cut": lambda finding: (
        f"{some(finding, 'texts')} {verb(finding, 'is', 'are')} longer than {finding.figure:,} tokens and will be truncated"
    ),
    "repeated": lambda finding: (
        f"{some(finding, 'rows')} {verb(finding, 'repeats', 'repeat')} the {finding.noun} of an earlier row"
    ),
    "two labels": lambda finding: (
        f"{counted(finding.rows, finding.noun)} of {finding.split} {verb(finding, 'has', 'have')} "
        + (f"two {finding.value}s" if finding.against == finding.split else f"another {finding.value} in {finding.against}")
    ),
    "overlap": lambda finding: f"{some(finding, f'{finding.noun}s')} {verb(finding, 'is', 'are')} also in {finding.against}",
    "near": lambda finding: (
        f"{some(finding, f'{finding.noun}s')} {verb(finding, 'is', 'are')} nearly identical to one in {finding.against} "
        f"(similarity of at least {NEAR})"
    ),
    "shared": lambda finding: (
        f"{some(finding, f'{finding.noun}s')} {verb(finding, 'is', 'are')} also in {finding.against} of {finding.another}"
    ),
    "unusable": lambda finding: (
        f"{'cannot train on' if finding.split == 'train' else 'cannot evaluate on'} {finding.split}: {finding.reason}"
    ),
    "same sides": lambda finding: (
        f"{some(finding, 'pairs')} {verb(finding, 'has', 'have')} the same text on both sides (after tokenization)"
    ),
    "few negatives": lambda finding: (
        f"{some(finding, 'pairs')} {verb(finding, 'shares', 'share')} a text with more than {finding.figure:.0%} of the others, "
        "which therefore cannot be used as negatives"
    ),
    "outside": lambda finding: (
        f"{some(finding, 'scores')} {verb(finding, 'is', 'are')} outside the range of {finding.against} "
        f"({' to '.join(finding.labels)})"
    ),
}
