"""Options of `mtlkit serve`."""

from __future__ import annotations

from dataclasses import dataclass

from mtlkit.config.common import DATA, MACHINE, OUTPUT, RUN, run_argument
from mtlkit.config.inference import ModelOptions, VectorOptions
from mtlkit.config.option import COMMON, option

LARGEST_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class ServeOptions(VectorOptions, ModelOptions):
    """Options of `mtlkit serve`."""

    model: str | None = run_argument("Folder of a run, of an export or of a Hugging Face model, a hub id, or mini.")
    host: str = option(
        "127.0.0.1", "Address to listen on; 0.0.0.0 accepts other machines.", panel=COMMON, metavar="ADDRESS", rank=1
    )
    port: int = option(8000, "Port to listen on (0 = any free one).", panel=COMMON, minimum=0, maximum=65535, rank=1)
    api_key: str | None = option(
        None,
        "Key that clients must send as a bearer token. Better set MTLKIT_API_KEY: other users can see command lines.",
        panel=COMMON,
        metavar="KEY",
        default_text="MTLKIT_API_KEY, else none",
        rank=2,
    )
    name: str | None = option(
        None,
        "Name of the model in requests and answers.",
        panel=OUTPUT,
        metavar="NAME",
        default_text="that of its folder",
    )
    normalize: bool = option(False, "Scale vectors to length 1.", panel=OUTPUT)
    log_texts: bool = option(False, "Also log the texts of requests; by default no text is logged.", panel=OUTPUT, rank=1)
    max_texts: int = option(2048, "Texts in one request.", panel=DATA, minimum=1, rank=2)
    max_bytes: int = option(
        8 << 20, "Bytes of one request.", panel=DATA, minimum=1024, maximum=LARGEST_BYTES, rank=2, default_text="8388608 (8 MiB)"
    )
    timeout: float = option(60.0, "Seconds after which a request fails.", panel=RUN, minimum=0.1, maximum=86400.0)
    queue_tokens: int = option(
        1 << 18, "Tokens that may wait; further requests are refused with 429 until there is room.", panel=MACHINE, minimum=1
    )
    batch_tokens: int | None = option(
        None,
        "Tokens that are computed at once, of all waiting requests.",
        panel=MACHINE,
        minimum=8,
        default_text="3072 for each thread, 65536 on a GPU",
        advanced=True,
    )
    max_connections: int = option(
        1024, "Connections at a time; further ones are answered with 503.", panel=MACHINE, minimum=1, advanced=True
    )
