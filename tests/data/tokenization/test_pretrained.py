"""Tokenizers of Hugging Face folders give the ids of transformers, for all settings in other files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from peers import ALBERT, BYTES, MPNET, WORDPIECE, peer_tokenizer, transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from mtlkit.config.architecture import Encoding
from mtlkit.data.tokenization.pretrained import build_tokenizer
from mtlkit.data.tokenization.tokenizer import TextEncoder
from mtlkit.errors import IntegrityError
from mtlkit.model.interop.settings.tokenizer import literal_special_tokens, read_tokenizer_settings

pytestmark = pytest.mark.filterwarnings("ignore")

LEARNED = ["A man plays a Guitar in Zürich, naïve as ever.", "The cat sleeps near the river.", "new_tok guitar中文"] * 10
TEXTS = [
    *LEARNED[:3],
    *("", "   ", "\tTabs\r\nand lines ", "ﬁve İSTANBUL, ẞ ΟΔΟΣ", "e\u0301\u200d\ufeff\x00b", "👩‍👩‍👧 🦦", "x" * 120),
    *(
        "first [SEP] second",
        "x[SEP]y [PAD] [UNK][MASK] [mask]",
        "a <mask>b <mask> <s></s><pad> <unk>",
        "[QRY] guitar[DOC]next [DOC]",
    ),
    *("word NEW_TOK new_tok2 wordnew_tok", "<s>NOTUSED"),
]


def unigram() -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=BYTES, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(LEARNED, trainer)
    ends = [("<s>", 0), ("</s>", 2)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    return tokenizer


BASES: dict[str, Callable[[], Tokenizer]] = {
    "bert": lambda: peer_tokenizer(LEARNED, WORDPIECE),
    "roberta": lambda: peer_tokenizer(LEARNED, BYTES),
    "gpt2": lambda: peer_tokenizer(LEARNED, BYTES),
    "xlm-roberta": unigram,
    "camembert": unigram,
    "albert": lambda: peer_tokenizer(LEARNED, ALBERT),
    "mpnet": lambda: peer_tokenizer(LEARNED, MPNET),
}
TOKEN = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
CASED = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False}
DOCUMENT = {"content": "[DOC]", **TOKEN}
FAST = {"tokenizer_class": "PreTrainedTokenizerFast"}


def json_added(*tokens: str, **flags: bool) -> list[dict[str, Any]]:
    """Tokens for the end of `added_tokens` in tokenizer.json."""
    return [{"content": token, **TOKEN, "special": True, **flags} for token in tokens]


# (kind of model, what is laid over tokenizer.json, tokenizer_config.json, special_tokens_map.json, added_tokens.json)
Case = tuple[str, dict[str, Any], dict[str, Any], dict[str, Any], dict[str, int]]
CASES: dict[str, Case] = {
    "as it is": ("bert", {}, {}, {}, {}),
    "cased": ("bert", {}, {"do_lower_case": False}, {}, {}),
    "accents kept": ("bert", {}, {"strip_accents": False}, {}, {}),
    "accents stripped, cased": ("bert", {}, {"strip_accents": True, "do_lower_case": False}, {}, {}),
    "Chinese in words": ("bert", {}, {"tokenize_chinese_chars": False}, {}, {}),
    "cased in the file alone": ("bert", {"normalizer": CASED}, {}, {}, {}),
    "the file as it stands": ("bert", {"normalizer": CASED}, {**FAST, "do_lower_case": True}, {}, {}),
    "the fast class": ("bert", {}, {"tokenizer_class": "BertTokenizerFast", "do_lower_case": False}, {}, {}),
    "a relative": ("bert", {}, {"tokenizer_class": "DistilBertTokenizer", "do_lower_case": False}, {}, {}),
    "special tokens are text": ("bert", {}, {"split_special_tokens": True}, {}, {}),
    "added": ("bert", {"added_tokens": json_added("[DOC]", "[QRY]")}, {}, {}, {}),
    "added, taking spaces": ("bert", {"added_tokens": json_added("[DOC]", lstrip=True, rstrip=True)}, {}, {}, {}),
    "added words": ("bert", {"added_tokens": json_added("NEW_TOK", special=False, normalized=True)}, {}, {}, {}),
    "added whole words": ("bert", {"added_tokens": json_added("new_tok", special=False, single_word=True)}, {}, {}, {}),
    "additional": ("bert", {}, {"additional_special_tokens": ["[DOC]", "[QRY]"]}, {}, {}),
    "additional in the map": ("bert", {}, {}, {"additional_special_tokens": ["[DOC]", "[QRY]"]}, {}),
    "extra": ("bert", {}, {"extra_special_tokens": ["[DOC]"]}, {"extra_special_tokens": ["[QRY]"]}, {}),
    "roles of its own": ("bert", {}, {"extra_special_tokens": {"doc_token": "[DOC]"}, "query_token": "[QRY]"}, {}, {}),
    "a role in the map": ("bert", {}, {}, {"mask_token": {**DOCUMENT, "lstrip": True}}, {}),
    "other roles": ("bert", {}, {"cls_token": "[MASK]", "bos_token": "[BOS]"}, {}, {}),
    "by id": ("bert", {}, {"added_tokens_decoder": {"4": {**DOCUMENT, "special": True}}}, {}, {}),
    "old added tokens": ("bert", {}, {}, {"additional_special_tokens": ["[DOC]"]}, {"[DOC]": 900, "new_tok": 901}),
    "no space before": ("roberta", {}, {}, {}, {}),
    "a space before": ("roberta", {}, {"add_prefix_space": True}, {}, {}),
    "a space before, the file as it stands": ("roberta", {}, {**FAST, "add_prefix_space": True}, {}, {}),
    "lower case in bytes": ("roberta", {"normalizer": {"type": "Lowercase"}}, {}, {}, {}),
    "lower case in bytes, the file as it stands": ("roberta", {"normalizer": {"type": "Lowercase"}}, FAST, {}, {}),
    "mask takes a space": ("roberta", {}, {}, {"mask_token": {"content": "<mask>", **TOKEN, "lstrip": True}}, {}),
    "gpt2": ("gpt2", {}, {"add_prefix_space": True}, {}, {}),
    "sentence pieces": ("xlm-roberta", {}, {}, {}, {}),
    "sentence pieces, no space before": ("xlm-roberta", {"normalizer": {"type": "NFKC"}}, {"add_prefix_space": False}, {}, {}),
    "sentence pieces, the file as it stands": ("xlm-roberta", {"normalizer": {"type": "NFKC"}}, FAST, {}, {}),
    "a BERT with sentence pieces": ("xlm-roberta", {}, {"tokenizer_class": "XLMRobertaTokenizer"}, {}, {}),
    "camembert": ("camembert", {}, {}, {}, {}),
    "albert": ("albert", {}, {}, {}, {}),
    "albert, as written": ("albert", {}, {"do_lower_case": False, "keep_accents": True, "add_prefix_space": False}, {}, {}),
    "albert, another normalizer in the file": ("albert", {"normalizer": {"type": "NFKC"}}, {"unk_token": "[MASK]"}, {}, {}),
    "mpnet": ("mpnet", {}, {}, {}, {}),
    "mpnet, cased": ("mpnet", {}, {"do_lower_case": False, "strip_accents": True, "mask_token": "[MASK]"}, {}, {}),
    "camembert's mask": ("camembert", {}, {"mask_token": "<mask>", "add_prefix_space": False}, {}, {}),
}


def write_folder(folder: Path, case: Case) -> None:
    kind, over, config, special, added = case
    stored = json.loads(BASES[kind]().to_str())
    ids = stored["model"]["vocab"]
    tokens = [{**token, "id": len(ids) + place} for place, token in enumerate(over.get("added_tokens", []))]
    stored |= {**over, "added_tokens": [*stored["added_tokens"], *tokens]}
    files = {
        "tokenizer.json": stored,
        "config.json": {"model_type": kind},
        "tokenizer_config.json": {"model_max_length": 512, **config},
        **({"special_tokens_map.json": special} if special else {}),
        **({"added_tokens.json": added} if added else {}),
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


def encode(folder: Path) -> list[list[int]]:
    tokenizer = build_tokenizer(read_tokenizer_settings(folder))
    encoded = TextEncoder(tokenizer, Encoding(512, "head", literal_special_tokens(folder))).encode(TEXTS)
    return [row.tolist() for row in np.split(encoded.ids, encoded.offsets[1:-1])]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_ids_are_those_of_transformers(case: Case, tmp_path: Path) -> None:
    write_folder(tmp_path, case)
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    assert encode(tmp_path) == [theirs(text)["input_ids"] for text in TEXTS]


@pytest.mark.parametrize(
    "normalizer", [None, normalizers.NFC(), normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])]
)
def test_sentence_transformers_folds_case_before_all_else(normalizer: Any, tmp_path: Path) -> None:
    """As its Transformer module does, which looks for a step that is Lowercase itself."""
    write_folder(tmp_path, ("bert", {}, FAST, {}, {}))
    theirs = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    theirs.normalizer = normalizer
    theirs.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    theirs.no_padding()
    theirs.no_truncation()
    if normalizer is None or isinstance(normalizer, normalizers.NFC):
        theirs.normalizer = normalizers.Sequence([normalizers.Lowercase(), *([] if normalizer is None else [normalizer])])
    assert encode(tmp_path) == [theirs.encode(text).ids for text in TEXTS]


@pytest.mark.parametrize(("kind", "names"), [("bert", ["vocab.txt"]), ("roberta", ["vocab.json", "merges.txt"])])
def test_vocabulary_file_replaces_tokenizer_json(kind: str, names: list[str], tmp_path: Path) -> None:
    write_folder(tmp_path, (kind, {}, {"do_lower_case": False, "add_prefix_space": True}, {}, {"new_tok": 900}))
    BASES[kind]().model.save(str(tmp_path))
    (tmp_path / "tokenizer.json").unlink()
    theirs = transformers.AutoTokenizer.from_pretrained(str(tmp_path))
    assert encode(tmp_path) == [theirs(text)["input_ids"] for text in TEXTS]
    for name in names:
        (tmp_path / name).unlink()
    with pytest.raises(IntegrityError, match=rf"neither tokenizer\.json nor {' and '.join(names)} .*save_pretrained"):
        encode(tmp_path)


@pytest.mark.parametrize(
    ("kind", "config", "reason"),
    [
        ("bert", {"tokenizer_class": "BertJapaneseTokenizer"}, "tokenizer_class 'BertJapaneseTokenizer' is not supported"),
        ("bert", {"tokenizer_class": "RobertaTokenizer"}, "contains a WordPiece model, but RobertaTokenizer needs BPE"),
        ("roberta", {"tokenizer_class": "BertTokenizer"}, "contains a BPE model, but BertTokenizer needs WordPiece"),
        ("bert", {"do_lower_case": "no"}, "do_lower_case is neither true nor false"),
        ("bert", {"split_special_tokens": 1}, "split_special_tokens is neither true nor false"),
        ("bert", {"cls_token": {"content": 3}}, "damaged.*cls_token"),
        ("bert", {"added_tokens_decoder": ["[DOC]"]}, "added_tokens_decoder is not an object"),
        ("bert", {"extra_special_tokens": 5}, "extra_special_tokens is not a list"),
    ],
)
def test_what_cannot_be_followed_is_refused_by_name(kind: str, config: dict[str, Any], reason: str, tmp_path: Path) -> None:
    write_folder(tmp_path, (kind, {}, config, {}, {}))
    with pytest.raises(IntegrityError, match=reason):
        encode(tmp_path)
