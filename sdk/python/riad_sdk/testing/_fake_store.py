"""The SQL store: SQLite in memory. The server's guard refuses more than this one, such as PRAGMA."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from .. import _contracts
from ._refusals import invalid


class FakeStore:
    def __init__(self, statements: Sequence[str]) -> None:
        # Each statement its own transaction, as on the server.
        self._database = sqlite3.connect(":memory:", isolation_level=None)
        for statement in statements:
            self._database.execute(statement)

    def query(self, sql: str, params: list[Any]) -> Any:
        cursor = self._run(sql, params)
        columns = [column[0] for column in cursor.description or []]
        return _contracts.store.Rows(columns, [[_to_host(value) for value in row] for row in cursor.fetchall()])

    def execute(self, sql: str, params: list[Any]) -> int:
        return max(self._run(sql, params).rowcount, 0)

    def _run(self, sql: str, params: list[Any]) -> sqlite3.Cursor:
        values = [getattr(value, "value", None) for value in params]
        try:
            return self._database.execute(sql, values)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise invalid(str(error)) from None


def _to_host(value: Any) -> Any:
    kinds = {int: "Integer", float: "Real", str: "Text", bytes: "Blob"}
    if value is None:
        return _contracts.store.Value_Null()
    return getattr(_contracts.store, f"Value_{kinds[type(value)]}")(value)
