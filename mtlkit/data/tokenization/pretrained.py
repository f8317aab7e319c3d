"""Builds the tokenizer of a Hugging Face folder in the same way as transformers."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from mtlkit.config.small_files import read_file
from mtlkit.config.tokenizer_settings import SpecialToken, TokenizerKind, TokenizerSettings
from mtlkit.data.tokenization.files import bare, library_errors, load_tokenizer
from mtlkit.errors import IntegrityError, listed

FILE = "tokenizer.json"
VOCABULARIES: dict[TokenizerKind, tuple[str, ...]] = {
    "bert": ("vocab.txt",),
    "mpnet": ("vocab.txt",),
    "roberta": ("vocab.json", "merges.txt"),
    "gpt2": ("vocab.json", "merges.txt"),
}
UNKNOWN_OF_XLM, UNKNOWN_OF_ALBERT = 3, 1  # the ids of unknown tokens in these classes, whatever the file says
TYPED = ("bert", "albert")  # in a pair, the tokens of the second text are of another type


def build_tokenizer(settings: TokenizerSettings) -> Tokenizer:
    """The tokenizer that transformers would load from a folder. Raises IntegrityError that names the file."""
    loaded = _load(settings)
    with library_errors(f"{settings.folder}: its tokenizer cannot be built"):
        added, named = _tokens(settings, loaded)
        contents = {role: token.content for role, token in named.items()}
        tokenizer = BUILDERS[settings.kind](settings, loaded) if settings.kind in BUILDERS else loaded
        _add(tokenizer, added, list(named.values()), map(_added, settings.extra))
        if settings.kind == "albert" and loaded.post_processor is not None:  # this class alone keeps that of the file
            tokenizer.post_processor = loaded.post_processor
        elif settings.kind in ENDS:
            ends = [(contents[role], tokenizer.token_to_id(contents[role])) for role in ENDS[settings.kind]]
            (first, _), (last, _) = ends
            pair = [first, "$A", last, "$B:1", f"{last}:1"] if settings.kind in TYPED else [first, "$A", last, last, "$B", last]
            tokenizer.post_processor = processors.TemplateProcessing(single=[first, "$A", last], pair=pair, special_tokens=ends)
        if settings.lower_first:
            lowercase_first(tokenizer)
    return bare(tokenizer)


def _load(settings: TokenizerSettings) -> Tokenizer:
    """Loads tokenizer.json or, if it is missing, the vocabulary files of older libraries."""
    folder, names = settings.folder, VOCABULARIES.get(settings.kind, ())
    if os.path.lexists(folder / FILE):
        return load_tokenizer(folder / FILE)
    check_complete(folder, names)
    if not names or not all(os.path.lexists(folder / name) for name in names):
        missing = f"neither {FILE} nor {' and '.join(names)} found" if names else f"{FILE} not found"
        raise IntegrityError(
            f"{folder}: {missing} for {settings.named_class}; other vocabularies are converted where transformers is installed "
            f"(pip install 'mtlkit[transformers]'), or create {FILE} elsewhere: "
            "AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)"
        )
    with library_errors(f"{folder / names[0]}: not a vocabulary"):
        contents = [read_file(folder / name).decode() for name in names]
        return Tokenizer(_wordpiece(*contents) if len(contents) == 1 else _byte_pairs(*contents))


def check_complete(folder: Path, names: Sequence[str]) -> None:
    """Raises IntegrityError if a folder has some of these files, which are of use only together."""
    absent = [name for name in names if not os.path.lexists(folder / name)]
    if 0 < len(absent) < len(names):
        present = listed([name for name in names if name not in absent])
        raise IntegrityError(
            f"{folder}: {listed(absent)} not found, and {present} is of no use without it; copy it from where {present} is from, "
            f"or save the tokenizer as {FILE}"
        )


def _wordpiece(lines: str) -> models.WordPiece:
    return models.WordPiece(
        {line.rstrip(): number for number, line in enumerate(lines.removesuffix("\n").split("\n"))}, unk_token="[UNK]"
    )


def _byte_pairs(vocabulary: str, merges: str) -> models.BPE:
    pairs = [tuple(line.split(" ")) for line in merges.split("\n") if line and not line.startswith("#version")]
    return models.BPE(json.loads(vocabulary), pairs)  # type: ignore[arg-type]


def _tokens(settings: TokenizerSettings, loaded: Tokenizer) -> tuple[list[AddedToken], dict[str, AddedToken]]:
    """The added tokens by ascending id, and the tokens with a role."""
    by_id = {number: _added(token) for number, token in settings.added.items()}
    if not settings.all_added:
        by_id |= loaded.get_added_tokens_decoder()
    by_content = {token.content: token for token in by_id.values()}
    named = {role: by_content.get(token.content, _added(token)) for role, token in settings.named.items()}
    return [by_id[number] for number in sorted(by_id)], named


def _added(token: SpecialToken) -> AddedToken:
    normalized = not token.special if token.normalized is None else token.normalized
    return AddedToken(
        token.content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=normalized,
        special=token.special,
    )


def _add(tokenizer: Tokenizer, added: Iterable[AddedToken], named: Iterable[AddedToken], extra: Iterable[AddedToken]) -> None:
    """Adds tokens as transformers does: all of `added`, then those of `named` and `extra` that do not exist yet."""
    tokens, roles = list(added), {token.content for token in named}
    known = {token.content for token in (*tokenizer.get_added_tokens_decoder().values(), *tokens)}
    for token in (*named, *extra):
        if token.content not in known:
            known.add(token.content)
            tokens.append(token)
    for token in tokens:
        token.special = token.special or token.content in roles
    tokenizer.add_tokens(tokens)


def lowercase_first(tokenizer: Tokenizer) -> None:
    """`do_lower_case` of sentence-transformers: adds a Lowercase step unless there is one."""
    normalizer = tokenizer.normalizer
    steps: list[Any] = [] if normalizer is None else [normalizer]
    if isinstance(normalizer, normalizers.Sequence):
        steps = list(normalizer)  # type: ignore[call-overload]
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])


def _bert(settings: TokenizerSettings, loaded: Tokenizer) -> Tokenizer:
    model = _model(settings, loaded, models.WordPiece)
    model.unk_token = settings.named["unk_token"].content
    model.max_input_chars_per_word, model.continuing_subword_prefix = 100, "##"
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True,
        handle_chinese_chars=settings.tokenize_chinese_chars,
        strip_accents=settings.strip_accents,
        lowercase=settings.do_lower_case,
    )
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return tokenizer


def _byte_level(settings: TokenizerSettings, loaded: Tokenizer) -> Tokenizer:
    model = _model(settings, loaded, models.BPE)
    model.dropout, model.unk_token, model.fuse_unk = None, None, False
    model.byte_fallback, model.ignore_merges = False, False
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=settings.add_prefix_space is True)
    tokenizer.decoder = decoders.ByteLevel()
    if loaded.post_processor is not None:
        tokenizer.post_processor = loaded.post_processor
    return tokenizer


def _metaspace(settings: TokenizerSettings, loaded: Tokenizer) -> Tokenizer:
    model = _model(settings, loaded, models.Unigram)
    state = json.loads(model.__getstate__())
    pieces = [piece for piece, _ in state["vocab"]]
    unknown = UNKNOWN_OF_ALBERT if settings.kind == "albert" else UNKNOWN_OF_XLM
    if settings.kind == "camembert":
        name = settings.named["unk_token"].content
        unknown = pieces.index(name) if name in pieces else 0
    if state["unk_id"] != unknown or state.get("byte_fallback"):
        model = models.Unigram([(piece, score) for piece, score in state["vocab"]], unknown, False)
    tokenizer = Tokenizer(model)
    charsmap = _charsmap(json.loads(loaded.normalizer.__getstate__())) if loaded.normalizer is not None else None
    steps: list[Any] = _albert_steps(settings) if settings.kind == "albert" else []
    if charsmap is not None:
        steps.append(normalizers.Precompiled(base64.b64decode(charsmap)))
    if steps:
        tokenizer.normalizer = steps[0] if len(steps) == 1 else normalizers.Sequence(steps)
    scheme = "never" if settings.add_prefix_space is False else "always"
    spaces = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme=scheme)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), spaces])
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme=scheme)
    return tokenizer


def _albert_steps(settings: TokenizerSettings) -> list[Any]:
    """What ALBERT does to a text before the character map."""
    accents = [] if settings.keep_accents else [normalizers.NFKD(), normalizers.StripAccents()]
    lower = [normalizers.Lowercase()] if settings.do_lower_case else []
    return [normalizers.Replace("``", '"'), normalizers.Replace("''", '"'), *accents, *lower]


def _charsmap(normalizer: Mapping[str, Any]) -> str | None:
    """The character map of a SentencePiece model in a normalizer or one of its direct steps; None if there is none."""
    steps = normalizer["normalizers"] if normalizer.get("type") == "Sequence" else [normalizer]
    return next((step["precompiled_charsmap"] for step in steps if step.get("type") == "Precompiled"), None)


def _model(settings: TokenizerSettings, loaded: Tokenizer, expected: type[Any]) -> Any:
    if not isinstance(loaded.model, expected):
        kind = type(loaded.model).__name__
        raise IntegrityError(
            f"{settings.folder / FILE}: contains a {kind} model, but {settings.named_class} needs {expected.__name__}; if "
            'tokenizer.json is correct, set "tokenizer_class": "PreTrainedTokenizerFast" in tokenizer_config.json'
        )
    return loaded.model


Build = Callable[[TokenizerSettings, Tokenizer], Tokenizer]
BUILDERS: dict[TokenizerKind, Build] = {
    "bert": _bert,
    "mpnet": _bert,
    "roberta": _byte_level,
    "gpt2": _byte_level,
    "xlm-roberta": _metaspace,
    "camembert": _metaspace,
    "albert": _metaspace,
}
ENDS: dict[TokenizerKind, tuple[str, str]] = {  # tokens before and after a text; for other kinds they are in tokenizer.json
    "bert": ("cls_token", "sep_token"),
    "mpnet": ("cls_token", "sep_token"),
    "albert": ("cls_token", "sep_token"),
    "roberta": ("cls_token", "sep_token"),
    "xlm-roberta": ("bos_token", "eos_token"),
    "camembert": ("bos_token", "eos_token"),
}
