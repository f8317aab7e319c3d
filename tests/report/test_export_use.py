from __future__ import annotations

from mtlkit.config.architecture import Encoding
from mtlkit.report.export_use import sentence_transformers_use


def test_the_card_shows_the_heads_where_there_are_some() -> None:
    assert "apply_heads" not in sentence_transformers_use(Encoding(64, "head"), heads=False)
    use = sentence_transformers_use(Encoding(64, "head"), heads=True)
    assert use.count("def apply_heads(") == 1
    assert "mtlkit" not in use


def test_the_card_says_where_long_texts_are_cut_otherwise() -> None:
    assert "Texts of more than 64 tokens are cut at their end here" in sentence_transformers_use(Encoding(64), heads=False)
    assert "are cut" not in sentence_transformers_use(Encoding(64, "tail"), heads=False)
