"""The tenant's settings, as set with `PUT /v1/settings`."""

import json
from typing import Any

from ._host import call, load, text

_host = load("settings")


def get(key: str, default: Any = None) -> Any:
    """The member's value; `default` where it is not set."""
    value = call(lambda: _host.get(text("key", key)))
    return default if value is None else json.loads(value)
