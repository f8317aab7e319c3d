"""The findings of `check-data` in sentences."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import PurePath

from mtlkit.data.labels.reader import alike
from mtlkit.data.quality.findings import Example, Finding
from mtlkit.data.quality.near_duplicates import NEAR
from mtlkit.errors import counted, listed, shorten

LABELS, LABEL = 5, 40  # labels per message, and characters of each


def finding_message(finding: Finding) -> str:
    """A finding in one sentence."""
    return f"{finding.task}: {WORDS[finding.problem](finding)}"


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


def two_values(finding: Finding) -> str:
    return "different tags in different rows" if finding.value == "tag" else f"two {finding.value}s"


def another_value(finding: Finding) -> str:
    return "other tags" if finding.value == "tag" else f"another {finding.value}"


WORDS = {
    "blank": lambda finding: f"{some(finding, 'texts')} {verb(finding, 'is', 'are')} blank",
    "one class": lambda finding: (
        f"all {finding.of:,} {finding.split} rows have "
        f"{f'the {finding.value} {quoted(finding.labels)}' if finding.labels else f'no {finding.value}'}"
        f"{' only' if finding.value == 'tag' else ''}"
    ),
    "alike": lambda finding: (
        f"{finding.value}s {'; '.join(map(spelled, alike(finding.labels)[:LABELS]))} differ only in case, blanks or Unicode "
        "form; " + ("rename them" if finding.value == "tag" else "join them with ?strip=yes (blanks) or ?fold=yes (case, form)")
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
        f"{some(finding, 'rows')} {verb(finding, 'has', 'have')} a {finding.value} that is not in train "
        f"({quoted(finding.labels)})"
    ),
    "cut": lambda finding: (
        f"{some(finding, 'texts')} {verb(finding, 'is', 'are')} longer than {finding.figure:,} tokens and will be truncated"
    ),
    "repeated": lambda finding: (
        f"{some(finding, 'rows')} {verb(finding, 'repeats', 'repeat')} the {finding.noun} of an earlier row"
    ),
    "two labels": lambda finding: (
        f"{counted(finding.rows, finding.noun)} of {finding.split} {verb(finding, 'has', 'have')} "
        + (two_values(finding) if finding.against == finding.split else f"{another_value(finding)} in {finding.against}")
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
    "unread": lambda finding: (
        f"{some(finding, 'texts')} {verb(finding, 'has', 'have')} a word without a token, such as a control character, which is "
        "read at the token before it"
    ),
    "outside": lambda finding: (
        f"{some(finding, 'scores')} {verb(finding, 'is', 'are')} outside the range of {finding.against} "
        f"({' to '.join(finding.labels)})"
    ),
}
