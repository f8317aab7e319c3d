"""Tokenizers that transformers converts from the vocabulary files of older libraries, and what they need."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from mtlkit.data.tokenization.pretrained import build_tokenizer
from mtlkit.errors import IntegrityError, UsageError
from mtlkit.inference import hf_tokenizer
from mtlkit.inference.hf_tokenizer import library_tokenizer, needs_library
from mtlkit.model.interop.settings.tokenizer import read_tokenizer_settings

pytest.importorskip("transformers")
TEXTS = ["The cat sleeps near the river.", "A saw cuts the wood, and the dog barks.", "It rains on the hills."]


def write_pieces(folder: Path, name: str = "spiece.model") -> Path:
    sentencepiece = pytest.importorskip("sentencepiece")
    pytest.importorskip("google.protobuf")
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS * 5), model_writer=model, vocab_size=40, model_type="unigram", pad_id=0, eos_id=1, unk_id=2,
        bos_id=-1, minloglevel=2, hard_vocab_limit=False,
    )  # fmt: skip
    (folder / name).write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "T5Tokenizer", "extra_ids": 0}))
    (folder / "config.json").write_text('{"model_type": "t5"}')
    return folder


@pytest.mark.filterwarnings("ignore")
def test_sentence_pieces_are_converted(tmp_path: Path) -> None:
    import sentencepiece

    folder = write_pieces(tmp_path)
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    tokenizer = library_tokenizer(folder, has_modules=False)
    for text in TEXTS:
        assert tokenizer.encode(text).ids == [*pieces.encode(text), 1]


@pytest.mark.parametrize(
    ("absent", "named"),
    [
        (["sentencepiece"], "sentencepiece, which is not"),
        (["google.protobuf"], "protobuf, which is not"),
        (["sentencepiece", "google.protobuf"], "sentencepiece and protobuf, which are not"),
    ],
)
def test_a_package_that_conversion_needs_is_named(
    absent: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sentencepiece.bpe.model").write_bytes(b"pieces")

    def find(module: str) -> object:
        if module == "google.protobuf" and module in absent:
            raise ModuleNotFoundError("No module named 'google'")
        return None if module in absent else object()

    monkeypatch.setattr(hf_tokenizer, "find_spec", find)
    with pytest.raises(UsageError) as caught:
        library_tokenizer(tmp_path, has_modules=False)
    way = "installed; install with: pip install 'mtlkit[transformers]'"
    assert str(caught.value) == f"{tmp_path}: converting sentencepiece.bpe.model needs {named} {way}"


@pytest.mark.parametrize("kind", ["RobertaTokenizer", "GPT2Tokenizer", "Qwen2Tokenizer"])
def test_a_vocabulary_without_its_merges_is_refused_by_the_name_of_the_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / "vocab.json").write_text('{"<s>": 0, "</s>": 1, "<unk>": 2, "<pad>": 3, "<mask>": 4, "a": 5}')
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
    refused = pytest.raises(IntegrityError, match=r"merges\.txt not found, and vocab\.json is of no use without it")
    with refused:
        library_tokenizer(tmp_path, has_modules=False)
    if kind != "Qwen2Tokenizer":  # which only transformers has
        settings = read_tokenizer_settings(tmp_path, bare=True)
        assert not needs_library(settings)
        with refused:
            build_tokenizer(settings)
