"""What a bag of words reaches on a classification task: TF-IDF and logistic regression, of scikit-learn."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtlkit.evaluation.intervals import Interval, wilson

Classes = NDArray[np.int64]
Hits = NDArray[np.bool_]
Example = str | tuple[str, str]  # a text, or a pair of texts

C = 10.0  # the inverse of the L2 penalty: the best of 1, 10 and 30 on most of trec and banking77
FOLDS = 5
STEPS = 200
WORD = r"(?u)\b\w+\b"  # scikit-learn's own pattern leaves out words of one letter


@dataclass(frozen=True)
class WordsBaseline:
    """The accuracy of a bag of words on `rows` rows with its interval; of a model trained on `train` rows, or by
    cross-validation in `folds` folds of these (0: on rows of a validation split).
    """

    accuracy: float
    interval: Interval
    rows: int
    train: int
    folds: int

    @classmethod
    def of(cls, hits: Hits, train: int, folds: int) -> WordsBaseline:
        right, rows = int(hits.sum()), len(hits)
        return cls(right / rows, wilson(right, rows), rows, train, folds)


def has_scikit_learn() -> bool:
    return find_spec("sklearn") is not None


def scored_on(
    texts: Sequence[Example], classes: Classes, other_texts: Sequence[Example], other_classes: Classes
) -> WordsBaseline | None:
    """Trains on N texts with their classes, (N,), and scores on others. None if all training texts are of one class, or have no
    words. A class that training has not seen counts as wrong.
    """
    hits = hits_on(texts, classes, other_texts, other_classes)
    return None if hits is None else WordsBaseline.of(hits, len(texts), 0)


def hits_on(texts: Sequence[Example], classes: Classes, other_texts: Sequence[Example], other_classes: Classes) -> Hits | None:
    """Which of the other texts are classified correctly, as in `scored_on`."""
    predicted = _predicted(texts, classes, other_texts)
    return None if predicted is None else np.equal(predicted, other_classes)


def cross_validated(texts: Sequence[Example], classes: Classes, seed: int = 0) -> WordsBaseline | None:
    """Scores each of N texts with a model trained on the other folds, stratified by class. None if there are too few rows for
    two folds, or no words.
    """
    hits = cross_validated_hits(texts, classes, seed)
    return None if hits is None else WordsBaseline.of(hits, len(classes), folds_of(classes))


def cross_validated_hits(texts: Sequence[Example], classes: Classes, seed: int = 0) -> Hits | None:
    """Which of N texts are classified correctly, as in `cross_validated`."""
    from sklearn.model_selection import StratifiedKFold

    folds = folds_of(classes)
    if folds < 2:
        return None
    hits = np.zeros(len(classes), bool)
    with expected_warnings():
        for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(np.zeros(len(classes)), classes):
            found = hits_on([texts[row] for row in train], classes[train], [texts[row] for row in test], classes[test])
            if found is None:
                return None
            hits[test] = found
    return hits


def folds_of(classes: NDArray[Any]) -> int:
    """The number of folds for cross-validation: FOLDS, or fewer so that every fold trains on two classes; below 2 if that cannot
    be.
    """
    counts = np.unique(classes, return_counts=True)[1]
    return min(FOLDS, int(np.sort(counts)[-2])) if len(counts) > 1 else 0


def _predicted(texts: Sequence[Example], classes: Classes, others: Sequence[Example]) -> Classes | None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    if len(np.unique(classes)) < 2:
        return None
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=WORD)
    try:
        vectorizer.fit(list(all_texts(texts)))
    except ValueError:  # no text has a word
        return None
    with expected_warnings():
        fitted = LogisticRegression(C=C, max_iter=STEPS, tol=1e-3).fit(_features(vectorizer, texts), classes)
    predicted: Classes = fitted.predict(_features(vectorizer, others))
    return predicted


def all_texts(examples: Sequence[Example]) -> Iterator[str]:
    """Every text, of a pair both."""
    for example in examples:
        yield from [example] if isinstance(example, str) else example


def _features(vectorizer: Any, examples: Sequence[Example]) -> Any:
    """TF-IDF vectors of texts, a sparse matrix; for pairs u and v, [u, v, |u - v|, u * v] as for a head."""
    if not examples or isinstance(examples[0], str):
        return vectorizer.transform(examples)
    from scipy.sparse import hstack

    first, second = (vectorizer.transform([pair[side] for pair in examples]) for side in (0, 1))
    return hstack([first, second, abs(first - second), first.multiply(second)], format="csr")


@contextmanager
def expected_warnings() -> Iterator[None]:
    """Ignores the warnings about classes that are missing in some folds, and about a fit that has not converged."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=ConvergenceWarning)
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        yield
