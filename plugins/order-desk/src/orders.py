"""The table of orders in the tenant's SQL store: `orders(number, status, placed, total, items)`. It is made when it is missing, and takes
what the setting `orders` has whenever that changes. Rows that come otherwise stay."""

import hashlib
import json
from typing import Any

from riad_sdk import RiadError, settings, store

_BATCH = 100
_COLUMNS = ("number", "status", "placed", "total", "items")


def refresh() -> None:
    """The setting's digest is written last, so that a refresh that fails half-way is done again."""
    store.execute(
        "CREATE TABLE IF NOT EXISTS orders (number TEXT PRIMARY KEY, status TEXT NOT NULL, placed TEXT, total TEXT, items TEXT)"
    )
    orders = settings.get("orders")
    if orders is None:
        return
    store.execute("CREATE TABLE IF NOT EXISTS order_desk (key TEXT PRIMARY KEY, value TEXT NOT NULL)")
    digest = hashlib.sha256(json.dumps(orders, sort_keys=True).encode()).hexdigest()
    if store.query("SELECT 1 FROM order_desk WHERE key = 'orders' AND value = ?1", [digest]):
        return
    rows = [_row(order) for order in orders]
    for start in range(0, len(rows), _BATCH):
        batch = rows[start : start + _BATCH]
        places = ", ".join(["(?, ?, ?, ?, ?)"] * len(batch))
        store.execute(
            f"INSERT OR REPLACE INTO orders ({', '.join(_COLUMNS)}) VALUES {places}",
            [value for row in batch for value in row],
        )
    store.execute("INSERT OR REPLACE INTO order_desk (key, value) VALUES ('orders', ?1)", [digest])


def find(number: str) -> dict[str, Any] | None:
    """An order by its number, in any case and with or without what people write around it, such as `#`."""
    wanted = "".join(character for character in number if character.isalnum())
    rows = store.query(
        "SELECT number, status, placed, total, items FROM orders"
        " WHERE replace(replace(lower(number), '-', ''), '#', '') = lower(?1)",
        [wanted],
    )
    if not rows:
        return None
    order = {name: value for name, value in rows[0].items() if value is not None}
    if isinstance(order.get("items"), str):
        order["items"] = json.loads(str(order["items"]))
    return order


def _row(order: Any) -> tuple[str | None, ...]:
    if not isinstance(order, dict) or not isinstance(order.get("number"), str) or not isinstance(order.get("status"), str):
        raise RiadError("invalid_argument", "each member of the setting `orders` needs a `number` and a `status`, both texts")
    items = order.get("items")
    return (
        order["number"],
        order["status"],
        order.get("placed"),
        order.get("total"),
        None if items is None else json.dumps(items, ensure_ascii=False),
    )
