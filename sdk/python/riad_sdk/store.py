"""The tenant's own SQL store (SQLite). One statement a call, each its own transaction. Parameters are `?1`, `?2`, …

Raises `invalid_argument` for what SQLite or the guard refuses, `limit_exceeded` for time, rows, bytes or a full store."""

from collections.abc import Sequence
from typing import Any

from ._host import call, load, text
from .errors import RiadError

_host = load("store")

Parameter = None | bool | int | float | str | bytes
Value = None | int | float | str | bytes


def query(sql: str, params: Sequence[Parameter] = ()) -> list[dict[str, Value]]:
    """A statement that returns rows: dictionaries by the names of their columns."""
    found = call(lambda: _host.query(text("sql", sql), [_to_host(value) for value in params]))
    return [dict(zip(found.columns, map(_from_host, row), strict=True)) for row in found.rows]


def execute(sql: str, params: Sequence[Parameter] = ()) -> int:
    """A statement that changes something; returns how many rows were changed."""
    return call(lambda: _host.execute(text("sql", sql), [_to_host(value) for value in params]))


def _to_host(value: Parameter) -> Any:
    match value:
        case None:
            return _host.Value_Null()
        case int() if -(2**63) <= value < 2**63:
            return _host.Value_Integer(int(value))
        case float():
            return _host.Value_Real(value)
        case str():
            return _host.Value_Text(value)
        case bytes() | bytearray():
            return _host.Value_Blob(bytes(value))
    raise RiadError("invalid_argument", f"a parameter must be None, bool, int of 64 bits, float, str or bytes, not {value!r}")


def _from_host(value: Any) -> Value:
    return getattr(value, "value", None)
