"""The library transformers: whether it is there, and its classes for a config.json. Imports it only inside functions."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

from mtlkit.errors import UsageError, shorten
from mtlkit.model.interop.silence import silence

INSTALL = "pip install 'mtlkit[transformers]'"
# keys of a config.json that name code, other weights or a place, and never change what a model computes
NOT_KEPT = ("_name_or_path", "name_or_path", "auto_map", "transformers_version", "attn_implementation", "_attn_implementation")


def one_line(error: Exception) -> str:
    """The message of another library's error, without line breaks."""
    return shorten(" ".join(str(error).split()) or type(error).__name__, 240)


class UnknownModel(ValueError):
    """A config.json for which transformers has no text model; the message says why."""


def need_library(what: str) -> None:
    """Raises UsageError if transformers, through which `what` runs, is not installed."""
    if find_spec("transformers") is None:
        raise UsageError(f"{what} runs through transformers, which is not installed; install it with: {INSTALL}")


def library_config(stored: Mapping[str, Any]) -> Any:
    """The configuration object of a config.json. Raises UnknownModel, UsageError if transformers is not installed."""
    kind = str(stored.get("model_type"))
    need_library(kind)
    with silence():
        from transformers import CONFIG_MAPPING, __version__
    if kind not in CONFIG_MAPPING:
        code = "" if "auto_map" not in stored else "; code in its folder, which it names, is never run"
        raise UnknownModel(f"architecture '{kind}' is not in transformers {__version__}{code}")
    try:
        with silence():
            return CONFIG_MAPPING[kind].from_dict({key: value for key, value in stored.items() if key not in NOT_KEPT})
    except Exception as error:  # whatever its class, the file cannot be used
        raise UnknownModel(f"transformers cannot read its settings ({one_line(error)})") from None


def library_class(config: Any) -> tuple[Any, dict[str, Any]]:
    """The class of the bare model of a configuration, of the encoder if it has a decoder, too, and the options to build it with.
    Raises UnknownModel if there is none that reads texts."""
    with silence():
        import transformers

        kind = config.model_type
        if type(config) not in transformers.MODEL_MAPPING:
            raise UnknownModel(f"transformers has no AutoModel for '{kind}'")
        model: Any = transformers.MODEL_MAPPING[type(config)]
    if isinstance(model, (list, tuple)):
        model = model[0]
    encoder = getattr(transformers, f"{model.__name__.removesuffix('Model')}EncoderModel", None)
    if encoder is None and config.is_encoder_decoder:
        raise UnknownModel(f"'{kind}' is an encoder with a decoder, and transformers has no class for the encoder alone")
    model = encoder or model
    needed = ("vocab_size", "hidden_size", "num_hidden_layers")
    if getattr(config, "sub_configs", None) or any(type(getattr(config, name, None)) is not int for name in needed):
        raise UnknownModel(f"'{kind}' is not a model of texts alone")
    if "input_ids" not in inspect.signature(model.forward).parameters:
        raise UnknownModel(f"'{kind}' does not read texts")
    pools = "add_pooling_layer" in inspect.signature(model).parameters
    return model, {"add_pooling_layer": False} if pools else {}
