"""Randomness of the operating system, fit for secrets."""

import uuid

from ._host import call, load, whole

_host = load("random")


def random_bytes(count: int) -> bytes:
    """So many bytes, 1 to 4,096."""
    return bytes(call(lambda: _host.bytes(whole("count", count))))


def random_uuid() -> uuid.UUID:
    """A random UUID, version 4."""
    return uuid.UUID(bytes=random_bytes(16), version=4)
