"""The time, in steps of 100 ms: too coarse to measure other tenants by."""

from datetime import datetime, timezone

from ._host import call, load

_host = load("clock")


def now_ms() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return call(_host.now)


def now() -> datetime:
    """The present time in UTC."""
    return datetime.fromtimestamp(now_ms() / 1000, timezone.utc)
