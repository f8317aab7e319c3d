"""Model cards: README.md of a run or an export, with what it is for first."""

from __future__ import annotations

from collections.abc import Iterator

from mtlkit.config.hub_ids import LANGUAGES
from mtlkit.report.cards.facts import TITLES, CardFacts, adapter_title, kind_title
from mtlkit.report.cards.figures import figures_section
from mtlkit.report.cards.front_matter import front_matter, hub_data
from mtlkit.report.cards.markdown import block, code, listed, table, text
from mtlkit.report.cards.names import public_command, public_path, public_source
from mtlkit.report.cards.use import placed
from mtlkit.report.info import data_rows
from mtlkit.runs.record import RunRecord

DIGEST = 12  # characters of a digest


def model_card(facts: CardFacts) -> str:
    """README.md. Raises ValueError if metadata of the user does not fit."""
    sections = [
        front_matter(facts),
        f"# {text(facts.title)}\n",
        f"{TITLES[facts.record.stage]}{_heads(facts)}, {facts.verb} with mtlkit.\n",
        "## Use\n",
        placed(facts.use, facts.name, on_hub=facts.on_hub),
        *([facts.text] if facts.text.startswith("#") else _section("About", facts.text)),
        *_section("Tasks", _tasks(facts)),
        *_section("Facts", table(["", ""], _facts(facts))),
        *_section("Figures", figures_section(facts)),
        *_section("Training data", _data(facts)),
        *_section("Commands", _commands(facts)),
        *_section("More about its use", placed(facts.details, facts.name, on_hub=facts.on_hub).strip() + "\n"),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in sections if part.strip())


def _section(title: str, content: str) -> list[str]:
    return [f"## {title}\n", content] if content.strip() else []


def _heads(facts: CardFacts) -> str:
    names = [text(task.name) for task in facts.description.tasks]
    return f" for {', '.join(names)}" if names and len(names) <= 6 else ""


def _tasks(facts: CardFacts) -> str:
    rows = [[text(task.name), text(kind_title(task)), listed(task.labels)] for task in facts.description.tasks]
    return table(["task", "kind", "labels"], rows) if rows else ""


def _facts(facts: CardFacts) -> Iterator[list[str]]:
    """Names and values."""
    shape, record, encoding = facts.description.architecture, facts.record, facts.description.encoding
    yield ["parameters", f"{facts.parameters:,}"]
    yield ["shape", f"{shape.layers} layers of width {shape.dim}, {shape.heads} attention heads, {shape.attention} attention"]
    if facts.description.stage != "base":
        yield ["vectors", f"{facts.description.vectors.truncate_dim or shape.vector_dim} numbers"]
    yield ["input", f"at most {encoding.max_length} tokens per text, vocabulary of {shape.vocab_size:,}"]
    spoken = [f"{LANGUAGES[code]} ({code})" if code in LANGUAGES else code for code in facts.languages]
    yield ["language", ", ".join(map(text, spoken)) or "not stated"]
    yield ["license", text(facts.license or "not stated")]
    if facts.description.adapters:
        own = (f"{adapter_title(task)} {code(str(spec))}" for task, spec in facts.description.adapters.items())
        yield ["adapters", ", ".join(own)]
    if origin := _origin(facts):
        exported = facts.trained_by is None and record.is_of("export")
        yield ["exported from" if exported else "started from", origin]
    epoch = record.metrics.get("best_epoch")
    if isinstance(epoch, int):
        yield ["best epoch", f"{epoch:,}"]
    run = facts.trained_by or record
    versions = [f"{name} {run.versions[name]}" for name in ("mtlkit", "torch") if name in run.versions]
    if run.finished:
        yield ["trained", text(", ".join([run.finished[:10], *versions, f"seed {run.seed}"]), 200)]


def _origin(facts: CardFacts) -> str:
    """The model that the training started from, and the one of the hub that it descends from."""
    parent = (facts.trained_by or facts.record).parent
    if facts.base_model is None and not parent:
        return ""
    link = f"[{text(facts.base_model)}](https://huggingface.co/{facts.base_model})" if facts.base_model else ""
    if not parent or public_path(str(parent.get("path", ""))) == facts.base_model:
        return link
    path, digest = str(parent.get("path", "")), str(parent.get("digest", ""))[:DIGEST]
    own = f"{code(public_path(path))}{', the model bundled with mtlkit' if path == 'mini' else ''} (SHA-256 {digest})"
    return f"{own}, which descends from {link}" if link else own


def _data(facts: CardFacts) -> str:
    """What it was trained and measured on, and where its terms are."""
    rows = [
        [text(name), text(public_source(source), 120) if source else "-", text(count), f"`{digest[:DIGEST]}`"]
        for name, source, count, digest in data_rows(facts.record.data)
        if digest.isalnum()
    ]
    lines = [table(["data", "source", "rows", "SHA-256"], rows)] if rows else []
    links = [f"[{text(name)}](https://huggingface.co/datasets/{name})" for name in dict.fromkeys(hub_data(facts))]
    if lines and facts.license:
        lines.append(f"The author of the model states the license {text(facts.license)}.")
    elif lines:
        lines.append("The author of the model states no license.")
    if links:
        lines.append(f"The terms of data sets of the hub are on their pages: {', '.join(links)}.")
    return "\n".join(lines)


def _commands(facts: CardFacts) -> str:
    """The recorded commands that made it."""
    records: list[RunRecord] = [*([facts.trained_by] if facts.trained_by else []), facts.record]
    commands = [command for record in records if (command := public_command(record.command))]
    return block("\n".join(commands), "sh") if commands else ""
