"""Values in memory, with the contract's bounds, on the test's own clock."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from ._refusals import invalid, limit_exceeded

VALUE_BYTES = 64 * 1024
SECONDS_MAX = 31_536_000


class FakeKv:
    def __init__(self, given: Mapping[str, Any], now: Callable[[], int]) -> None:
        self._now = now
        self._values: dict[str, tuple[bytes, float]] = {}
        for key, value in given.items():
            data = value if isinstance(value, (str, bytes)) else json.dumps(value)
            self._values[key] = (data.encode() if isinstance(data, str) else data, math.inf)

    def get(self, key: str) -> bytes | None:
        found = self._live(key)
        return None if found is None else found[0]

    def set(self, key: str, value: bytes, seconds: int) -> None:
        self._live(key)
        if len(value) > VALUE_BYTES:
            raise limit_exceeded(f"a value has up to {VALUE_BYTES} bytes")
        self._values[key] = (value, self._end(seconds))

    def delete(self, key: str) -> bool:
        was_there = self._live(key) is not None
        self._values.pop(key, None)
        return was_there

    def increment(self, key: str, by: int, seconds: int) -> int:
        data, end = self._live(key) or (bytes(8), self._end(seconds))
        self._end(seconds)
        if len(data) != 8:
            raise invalid("the value is no counter")
        total = int.from_bytes(data, "little", signed=True) + by
        if not -(2**63) <= total < 2**63:
            raise invalid("the sum does not fit into 64 bits")
        self._values[key] = (total.to_bytes(8, "little", signed=True), end)
        return total

    def _live(self, key: str) -> tuple[bytes, float] | None:
        if not 1 <= len(key.encode()) <= 256:
            raise invalid(f"a key has 1 to 256 bytes, not {len(key.encode())}")
        found = self._values.get(key)
        return found if found is not None and found[1] > self._now() else None

    def _end(self, seconds: int) -> int:
        if not 1 <= seconds <= SECONDS_MAX:
            raise invalid(f"a value lives 1 to {SECONDS_MAX} seconds, not {seconds}")
        return self._now() + seconds * 1000
