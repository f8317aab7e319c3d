"""`mtlkit export`."""

from __future__ import annotations

import typer

from mtlkit.cli.console import print_json, say
from mtlkit.cli.options.command import add_command
from mtlkit.cli.push_view import show_push
from mtlkit.config.commands.run_commands import ExportOptions
from mtlkit.config.registries.export_formats import EXPORT_FORMATS
from mtlkit.errors import listed


def export(options: ExportOptions, as_json: bool) -> None:
    """Convert a model for other tools, or shrink it.

    sentence-transformers: a folder that SentenceTransformer(DIR) loads without mtlkit, with the heads next to it. transformers:
    a base for pipeline("text-generation"), or one for masked tokens with modern blocks for pipeline("fill-mask"). onnx: a graph
    with every head, which embed and predict run without PyTorch. compact: a run with 8-bit weights. Each export is compared with
    the model before it is kept. --push shows what would be sent to the Hugging Face hub.
    """
    from mtlkit.model.description import is_adapter, is_foreign
    from mtlkit.recipes import export as recipe
    from mtlkit.recipes.exporting.formats.base import format_of

    choice = recipe.choose_export(options)
    model_ref, out = choice.model, choice.out
    say(f"model: {model_ref}, {model_ref.reason}")
    say(f"using the export in {out}" if choice.made else f"writing {out}")
    done = recipe.export(options, choice)
    if done.note:
        say(done.note)
    foreign = is_foreign(model_ref.path) and not is_adapter(model_ref.path)
    if done.difference is None and not choice.made:
        say(f"not checked: {options.format} is not installed; to have it checked: {recipe.installation(options.format)}")
    elif foreign and done.from_source is None:
        say(
            f"compared with mtlkit's own vectors of {model_ref} only: sentence-transformers is not installed; "
            f"to compare with its vectors: {recipe.installation('sentence-transformers')}"
        )
    keeping = listed(name for name in EXPORT_FORMATS if format_of(name).keeps_router)
    for part in done.left_out:
        say(f"the {part} is left out: {options.format} has no place for it; {keeping} keep it", "yellow")
    if as_json:
        document = {"model": str(model_ref), "output": str(out), "format": options.format, "dim": done.dim}
        source = {"largest_difference_from_source": done.from_source} if foreign else {}
        pushed = {"push": done.push.to_json()} if done.push else {}
        print_json({**document, "tasks": list(done.tasks), "largest_difference": done.difference, **source, **pushed})
        return
    heads = f", heads {', '.join(done.tasks)}" if done.tasks else ""
    checked = "" if done.difference is None else f"; differs from the model by {done.difference:.0e} at most"
    if done.from_source is not None:
        checked += f"; read as sentence-transformers reads {model_ref}, to {done.from_source:.0e}"
    exported = format_of(options.format)
    print(f"{out}: {options.format}, {exported.summary(done.dim)}{heads}{checked}")
    if done.push is not None:
        show_push(options, done.push)
    elif command := exported.next_command(out):
        say(f"next: {command}")


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        "mtlkit export",
        "mtlkit export runs/mtl --format onnx",
        "mtlkit export runs/mtl small --format compact",
        "mtlkit export runs/pretrain --format transformers",
        "mtlkit export runs/mtl exports/mine --overwrite",
        "mtlkit export runs/mtl --push me/topics --license apache-2.0 --language en --test",
    ]
    add_command(app, "export", ExportOptions, export, examples, panel)
