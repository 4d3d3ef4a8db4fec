"""Small values of the tenant's plugins, each with a time to live. They outlive requests and restarts, and count towards the room's bytes.
All plugins of the room share them: begin a key with the plugin's name. A key has 1 to 256 bytes; `seconds` are 1 to 31,536,000 (a
year)."""

import json
from typing import Any

from ._host import call, load, text, whole
from ._wire import to_json
from .errors import RiadError

_host = load("kv")


def get(key: str) -> bytes | None:
    """The value, or none: it was never set, or its time is over."""
    value = call(lambda: _host.get(text("key", key)))
    return None if value is None else bytes(value)


def get_text(key: str) -> str | None:
    """The value as UTF-8."""
    value = get(key)
    return None if value is None else value.decode("utf-8", "replace")


def get_json(key: str, default: Any = None) -> Any:
    """The value as JSON, or `default`. Raises `ValueError` for one that is not."""
    value = get(key)
    return default if value is None else json.loads(value)


def set(key: str, value: str | bytes, *, seconds: int) -> None:
    """Sets a value of up to 64 KiB."""
    if not isinstance(value, (str, bytes, bytearray)):
        raise RiadError("invalid_argument", "`value` must be a str or bytes; set_json takes other values")
    data = value.encode() if isinstance(value, str) else bytes(value)
    call(lambda: _host.set(text("key", key), data, whole("seconds", seconds)))


def set_json(key: str, value: Any, *, seconds: int) -> None:
    set(key, to_json(value), seconds=seconds)


def increment(key: str, by: int = 1, *, seconds: int) -> int:
    """Adds to a counter and returns the sum; one that is not there is 0. The time to live is set only when the counter is made: a counter
    over a window. Raises `invalid_argument` for a value that is no counter."""
    if not -(2**63) <= by < 2**63:
        raise RiadError("invalid_argument", f"`by` must have 64 bits, unlike {by}")
    return call(lambda: _host.increment(text("key", key), by, whole("seconds", seconds)))


def delete(key: str) -> bool:
    """Removes a value; whether there was one."""
    return call(lambda: _host.delete(text("key", key)))
