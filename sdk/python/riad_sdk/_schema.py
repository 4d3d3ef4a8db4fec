"""A tool's arguments: their JSON Schema from a function's annotations, and the model's object as keyword arguments."""

import inspect
import json
from collections.abc import Callable
from typing import Any, get_origin, get_type_hints

from .errors import InvalidRequest

_KINDS = {str: "string", bool: "boolean", int: "integer", float: "number", list: "array", dict: "object"}


def parameters_of(function: Callable[..., Any]) -> dict[str, Any]:
    """What has a default is not required."""
    hints: dict[str, Any] = get_type_hints(function)
    properties = {}
    required = []
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints.get(name)
        kind = _KINDS.get(get_origin(hint) or hint) if hint else None
        if kind is None:
            raise TypeError(f"annotate `{name}` with str, bool, int, float, list or dict, or give the tool `parameters`")
        properties[name] = {"type": kind}
        if parameter.default is parameter.empty:
            required.append(name)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def bind(function: Callable[..., Any], arguments: str) -> dict[str, Any]:
    """The model's arguments, if the function takes them; if not, the model is told why and may try again."""
    given: dict[str, Any] = json.loads(arguments)
    try:
        inspect.signature(function).bind(**given)
    except TypeError as error:
        raise InvalidRequest(f"the arguments do not fit: {error}") from None
    return given
