from __future__ import annotations

import numpy as np
import pytest
from tokenizers import AddedToken, Tokenizer, models

from mtlkit.config.commands.pretrain import MaskUnit
from mtlkit.data.masking import Masking, masking_of
from mtlkit.errors import UsageError

WORDPIECE = ["[PAD]", "[CLS]", "[SEP]", "[MASK]", "un", "##believ", "##able", "cat", "##s", "dog"]
CLS, MASK, WORD = 1, 3, (4, 5, 6)


def tokenizer(vocabulary: list[str], special: int) -> Tokenizer:
    made = Tokenizer(models.WordPiece({token: number for number, token in enumerate(vocabulary)}, unk_token=vocabulary[0]))
    made.add_special_tokens([AddedToken(token, special=True) for token in vocabulary[:special]])
    return made


def masking(unit: MaskUnit, share: float = 0.3) -> Masking:
    return masking_of(tokenizer(WORDPIECE, 4), len(WORDPIECE), share, unit)


IDS = np.concatenate([np.array([CLS, *WORD * 10]) for _ in range(400)])


@pytest.mark.parametrize("unit", ["tokens", "words", "spans"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_about_the_share_of_the_text_is_chosen(unit: MaskUnit, share: float) -> None:
    hidden, places = masking(unit, share)(IDS, np.random.default_rng(0))
    assert len(places) / (IDS != CLS).sum() == pytest.approx(share, abs=0.02 if unit == "tokens" else 0.04)
    assert (IDS[places] != CLS).all()
    changed = np.flatnonzero(hidden != IDS)
    assert set(changed) <= set(places)
    assert (hidden[places] == MASK).mean() == pytest.approx(0.8, abs=0.02)
    assert not np.isin(hidden[changed], [0, 1, 2]).any()  # random tokens are of text


def test_whole_words_are_chosen_and_spans_are_longer() -> None:
    runs = {}
    for unit in ("tokens", "words", "spans"):
        _, places = masking(unit)(IDS, np.random.default_rng(0))
        chosen = np.zeros(len(IDS), bool)
        chosen[places] = True
        words = chosen.reshape(400, 31)[:, 1:].reshape(-1, 3)
        assert unit == "tokens" or (words.all(1) == words.any(1)).all()
        edges = np.diff(words.any(1).astype(int))
        runs[unit] = words.any(1).sum() / max(1, (edges == 1).sum())
    assert runs["spans"] > 2 * runs["words"]


def test_at_least_one_token_is_chosen() -> None:
    for ids in ([7], [CLS, CLS], [CLS, 9]):
        _, places = masking("tokens", 0.01)(np.array(ids), np.random.default_rng(0))
        assert len(places) == 1
        assert ids[places[0]] != CLS or set(ids) == {CLS}


def test_a_tokenizer_without_a_mask_token_uses_padding() -> None:
    bytes_of_words = ["<pad>", "<bos>", "<eos>", "Ġcat", "s", "Ġdog"]
    made = masking_of(tokenizer(bytes_of_words, 3), 6, 0.3, "words")
    assert made.mask == 0
    assert made.continues.tolist() == [False, False, False, False, True, False]
    with pytest.raises(UsageError, match="needs a tokenizer with a mask or padding token"):
        masking_of(tokenizer(["<bos>", "a"], 1), 2, 0.3, "tokens")
    with pytest.raises(UsageError, match="does not mark where words begin; use --mask tokens"):
        masking_of(tokenizer(["<pad>", "a"], 1), 2, 0.3, "spans")
