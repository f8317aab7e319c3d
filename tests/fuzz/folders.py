"""Pretrained folders with all the small files beside their weights that sentence-transformers and transformers write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fuzz.sound import TEXTS
from peers import write_peer
from tokenizers import Tokenizer
from wrapped import SPECIAL

MODULES = "sentence_transformers.models."
SIDECARS = (  # the names of these files below a folder, which alone are damaged
    "modules.json",
    "1_Pooling/config.json",
    "2_Normalize/config.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


def write_sidecars(kind: str, folder: Path, *, class_name: str, vocabulary: bool) -> None:
    """A folder with sidecars. With `vocabulary` its tokenizer is in the files of older libraries, without a tokenizer.json."""
    write_peer(kind, folder, TEXTS * 10)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    special = SPECIAL[kind]
    added = {"[NEW]": tokenizer.get_vocab_size() - 1} if kind == "bert" else {}
    settings: dict[str, Any] = {
        **special,
        "tokenizer_class": class_name,
        "model_max_length": 40,
        "truncation_side": "right",
        "clean_up_tokenization_spaces": False,
        "extra_special_tokens": [],
        **(
            {"do_lower_case": True, "strip_accents": None, "tokenize_chinese_chars": True}
            if kind == "bert"
            else {"add_prefix_space": False}
        ),
    }
    if vocabulary:
        tokenizer.model.save(str(folder))
        (folder / "tokenizer.json").unlink()
        _write(folder / "added_tokens.json", added)
    else:
        decoder = {
            str(tokenizer.token_to_id(token)): {
                "content": token,
                **dict.fromkeys(("lstrip", "normalized", "rstrip", "single_word"), False),
                "special": True,
            }
            for token in special.values()
        }
        settings["added_tokens_decoder"] = decoder
    _write(folder / "tokenizer_config.json", settings)
    _write(folder / "special_tokens_map.json", {role: {"content": token, "lstrip": False} for role, token in special.items()})
    names = [("Transformer", ""), ("Pooling", "1_Pooling"), ("Normalize", "2_Normalize")]
    modules = [
        {"idx": place, "name": str(place), "path": path, "type": MODULES + name} for place, (name, path) in enumerate(names)
    ]
    _write(folder / "modules.json", modules)
    pooling = {"word_embedding_dimension": 32, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
    more = {"pooling_mode_max_tokens": False, "pooling_mode_mean_sqrt_len_tokens": False, "include_prompt": True}
    _write(folder / "1_Pooling" / "config.json", pooling | more)
    _write(folder / "2_Normalize" / "config.json", {})
    _write(folder / "sentence_bert_config.json", {"max_seq_length": 32, "do_lower_case": False})
    prompts = {"query": "query: ", "document": ""}
    library = {"model_type": "SentenceTransformer", "__version__": {"sentence_transformers": "5.1.0"}}
    vectors = {"prompts": prompts, "default_prompt_name": "query", "similarity_fn_name": "cosine", "truncate_dim": 16}
    _write(folder / "config_sentence_transformers.json", library | vectors)


def _write(path: Path, value: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(value, indent=2))
