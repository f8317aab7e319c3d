"""`mtlkit embed`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import typer

from mtlkit.cli.console import print_json, print_line, say, say_cut, say_notes, stdout
from mtlkit.cli.options.command import add_command
from mtlkit.cli.progress import followed, loading
from mtlkit.config.commands.embed import EmbedOptions

if TYPE_CHECKING:
    from mtlkit.config.vector_settings import Similarity
    from mtlkit.inference.loaded_model import LoadedModel
    from mtlkit.recipes.embed import Embedded, Similarities

FIRST = 6  # values of a vector that a terminal shows
MATRIX = 12  # texts for which it shows how alike each pair is, beside the vectors


def embed(options: EmbedOptions, as_json: bool) -> None:
    """Turn texts into vectors.

    In a terminal, prints a short view and the similarity of every pair; in a pipe, one JSON object per line with text and
    vector. --output writes a file, or a folder of parts, in constant memory, and --resume continues it after any interruption.

    --similarity prints the similarity of every pair instead. It is the cosine, unless the model specifies another.
    """
    from mtlkit.recipes.inputs.early_checks import check_input

    check_input(options)

    with loading():
        from mtlkit.recipes import embed as recipe
        from mtlkit.recipes.inputs.open_model import open_model
        from mtlkit.recipes.inputs.texts import input_notes
        from mtlkit.recipes.outputs.write import check_output

        if options.output is not None:
            check_output(options)
        loaded, ref = open_model(options)
    say(f"model: {ref}, {ref.reason}")
    say_notes(loaded)
    for note in input_notes(options, loaded.recorded()):
        say(note)
    if options.similarity:
        give_similarities(recipe.similarities(options, loaded, sys.stdin), str(ref), as_json)
    elif options.output is not None:
        from mtlkit.cli.output_progress import write

        dim = loaded.output_dim(options.dim)
        steps = recipe.embed_to_output(options, loaded, sys.stdin)
        write(options, steps, "vectors", "embedding", as_json, model=str(ref), dim=dim)
    else:
        give_vectors(options, loaded, str(ref), as_json)
    say_cut(loaded.encoder)


def give_vectors(options: EmbedOptions, loaded: LoadedModel, model: str, as_json: bool) -> None:
    """The vectors on standard output."""
    from mtlkit.recipes import embed as recipe

    dim = loaded.output_dim(options.dim)
    stream = recipe.embed(options, loaded, sys.stdin)
    if as_json or not stdout().is_terminal:  # on a terminal, parts are shown as they come
        stream = followed(stream, "embedding")
    if as_json:
        rows = [
            {"text": text, "vector": vector.tolist()}
            for part in stream
            for text, vector in zip(part.texts, part.vectors, strict=True)
        ]
        print_json({"model": model, "dim": dim, "vectors": rows})
    elif stdout().is_terminal:
        for part in stream:
            show(part, loaded.checkpoint.vectors.similarity)
    else:
        for part in stream:
            for text, vector in zip(part.texts, part.vectors, strict=True):
                print_line({"text": text, "vector": vector.tolist()})


def give_similarities(similarities: Similarities, model: str, as_json: bool) -> None:
    """The matrix of `--similarity`."""
    from mtlkit.report.evaluation.embedding_tables import cosine_table

    console, rows = stdout(), zip(similarities.texts, similarities.values, strict=True)
    named = {} if similarities.kind == "cosine" else {"similarity": similarities.kind}
    key = "similarities" if named else "cosines"
    if as_json:
        print_json({"model": model, **named, "texts": similarities.texts, key: similarities.values.tolist()})
    elif not console.is_terminal:
        for text, row in rows:
            print_line({"text": text, key: row.tolist()})
    elif (matrix := cosine_table(similarities.texts, similarities.values, console.width, similarities.kind)) is not None:
        console.print(matrix)
    else:
        size = f"a matrix of {len(similarities.texts)} texts"
        say(f"{size} does not fit in {console.width} columns; use --json or a pipe to get all of it")


def show(part: Embedded, kind: Similarity) -> None:
    """The view for a terminal."""
    import numpy as np

    from mtlkit.inference.similarity import similarities
    from mtlkit.report.evaluation.embedding_tables import cosine_table
    from mtlkit.report.tables import new_table
    from mtlkit.report.text import one_line

    console = stdout()
    table = new_table()
    table.add_column("text", max_width=max(16, console.width - 64), overflow="ellipsis", no_wrap=True)
    for column in ("dimension", "norm"):
        table.add_column(column, justify="right")
    table.add_column("first values", no_wrap=True, overflow="ellipsis")
    for text, vector in zip(part.texts, part.vectors, strict=True):
        first = " ".join(f"{value:+.2f}" for value in vector[:FIRST])
        table.add_row(one_line(text), str(len(vector)), f"{np.linalg.norm(vector):.2f}", f"{first} …")
    console.print(table)
    if 2 <= len(part.texts) <= MATRIX:
        matrix = cosine_table(part.texts, similarities(part.vectors, kind), console.width, kind)
        if matrix is not None:
            console.print(matrix)


def register(app: typer.Typer, panel: str) -> None:
    examples = [
        'mtlkit embed "some sentence"',
        'mtlkit embed --similarity "a cat" "a kitten" "a spanner"',
        "cat texts.txt | mtlkit embed - > vectors.jsonl",
        "mtlkit embed --input articles.parquet --column body --output vectors.npy",
        "mtlkit embed --input articles.parquet --column body --output vectors.npy --resume",
        "mtlkit embed --input 'articles/*.parquet' --column body --keep id --output vectors/ --shard 0/4",
    ]
    add_command(app, "embed", EmbedOptions, embed, examples, panel)
