import json
from typing import Any

import plugin
import pytest
from riad_sdk import InvalidRequest, store
from riad_sdk.testing import StageFailed, call_tool, fake_host, offer

ORDERS = [
    {"number": "A-1001", "status": "shipped", "placed": "2026-05-01", "total": "39.90 EUR", "items": ["Größe M", "cap"]},
    {"number": "A-1002", "status": "paid"},
]


def look_up(number: Any) -> Any:
    return json.loads(call_tool(plugin, "look_up_order", number=number))


def test_the_model_is_told_what_the_tool_takes() -> None:
    (tool,) = offer(plugin)
    assert tool["name"] == "look_up_order"
    assert tool["parameters"]["required"] == ["number"]


@pytest.mark.parametrize("number", ["A-1001", "a1001", "#A-1001", " A 1001 "])
def test_an_order_is_found_however_its_number_is_written(number: str) -> None:
    fake_host(settings={"orders": ORDERS})
    assert look_up(number) == ORDERS[0]


def test_what_an_order_does_not_have_is_left_out() -> None:
    fake_host(settings={"orders": ORDERS})
    assert look_up("A-1002") == ORDERS[1]


def test_the_model_may_ask_again_for_an_unknown_order() -> None:
    host = fake_host()
    for number in ("A-9", "", "' OR 1=1 --"):
        with pytest.raises(InvalidRequest, match="there is no order"):
            look_up(number)
    assert host.logs[0] == ("info", "an order was not found")


def test_rows_of_the_tenants_own_are_found() -> None:
    fake_host(
        sql=[
            "CREATE TABLE orders (number TEXT PRIMARY KEY, status TEXT NOT NULL, placed TEXT, total TEXT, items TEXT)",
            "INSERT INTO orders (number, status) VALUES ('B-7', 'lost')",
        ]
    )
    assert look_up("b7") == {"number": "B-7", "status": "lost"}


def test_a_changed_setting_is_read_and_an_unchanged_one_is_not() -> None:
    host = fake_host(settings={"orders": ORDERS})
    look_up("A-1001")
    store.execute("UPDATE orders SET status = 'returned' WHERE number = 'A-1001'")
    assert look_up("A-1001")["status"] == "returned"
    changed = fake_host(settings={"orders": [{"number": "A-1001", "status": "sold"}]})
    changed.store = host.store
    assert look_up("A-1001") == {"number": "A-1001", "status": "sold"}
    assert look_up("A-1002")["status"] == "paid"


def test_more_orders_than_one_statement_takes_are_written() -> None:
    fake_host(settings={"orders": [{"number": f"N-{index}", "status": "new"} for index in range(250)]})
    assert look_up("N-249")["status"] == "new"
    assert store.query("SELECT count(*) AS count FROM orders") == [{"count": 250}]


def test_a_setting_that_has_no_orders_in_it_is_named() -> None:
    fake_host(settings={"orders": [{"number": 5}]})
    with pytest.raises(StageFailed, match="setting `orders`"):
        look_up("5")
