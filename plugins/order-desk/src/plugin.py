"""A tool for the model: it looks up an order in the tenant's own SQL store, so that an answer about a delivery is not made up."""

from typing import Any

import orders
from riad_sdk import InvalidRequest, logging, tool


@tool(
    description="Looks up a customer's order by its number. Returns its status, the date it was placed, the total and the items.",
    parameters={
        "type": "object",
        "properties": {"number": {"type": "string", "maxLength": 12, "description": "The order's number, such as A-1001."}},
        "required": ["number"],
        "additionalProperties": False,
    },
)
def look_up_order(number: str) -> dict[str, Any]:
    orders.refresh()
    order = orders.find(str(number))
    # Not the number itself: it is the customer's.
    logging.info("an order was found" if order else "an order was not found")
    if order is None:
        raise InvalidRequest(f"there is no order {number}; ask the customer for the number on the invoice")
    return order
