"""The training tables of several tasks: their texts, and a limit on their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from mtlkit.data.batching import Rows
from mtlkit.data.datasets.held_out import SPLIT_SEED
from mtlkit.data.datasets.labelled_table import LabelledTable
from mtlkit.data.datasets.text_pool import TextPool
from mtlkit.seeding import generator


def different_texts(tables: Iterable[LabelledTable]) -> Iterator[str]:
    """The texts of all tables; those that label columns share, once."""
    pools: set[int] = set()
    for table in tables:
        if table.pool is None:
            yield from table.all_texts
        elif id(table.pool) not in pools:
            pools.add(id(table.pool))
            yield from table.pool.texts


def cap_tables(tables: dict[str, LabelledTable], cap: int | str | None) -> dict[str, LabelledTable]:
    """Training tables with at most `cap` rows each; "shortest" cuts all to the smallest. Rows are drawn at random, those of label
    columns for all columns together."""
    if cap is None:
        return tables
    pools = {id(table.pool): table.pool for table in tables.values() if table.pool is not None}
    sizes = [*(len(table) for table in tables.values() if table.pool is None), *map(len, pools.values())]
    most = min(sizes) if cap == "shortest" else int(cap)
    capped, cut = {}, dict[int, tuple[TextPool, Rows]]()
    for name, table in tables.items():
        size, pool = len(table) if table.pool is None else len(table.pool), table.pool
        if size <= most:
            capped[name] = table
        elif pool is None:
            capped[name] = table.select(np.sort(generator(SPLIT_SEED, "cap", name).permutation(size)[:most]))
        else:
            if id(pool) not in cut:  # named after the first of the columns
                chosen = np.sort(generator(SPLIT_SEED, "cap", name).permutation(size)[:most])
                cut[id(pool)] = TextPool([pool.texts[row] for row in chosen]), chosen
            smaller, chosen = cut[id(pool)]
            assert table.index is not None
            rows = np.flatnonzero(np.isin(table.index, chosen))
            capped[name] = replace(table.select(rows), pool=smaller, index=np.searchsorted(chosen, table.index[rows]))
    return capped
