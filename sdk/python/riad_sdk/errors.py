"""What goes wrong, as exceptions. Not here: where host calls are made (`_host`), what becomes of a stage's error (`stages`)."""

import re
from typing import Any, Literal

ErrorKind = Literal[
    "invalid_argument", "not_found", "limit_exceeded", "unavailable", "not_granted", "failed", "timed_out"
]
"""`invalid_argument`: an argument cannot be used. `not_found`: the room has no such object. `limit_exceeded`: a limit of the room was
met. `unavailable`: the server failed; trying again may help. Of `http` only: `not_granted`, the operator has not granted the host;
`failed`, it could not be reached; `timed_out`."""

_MESSAGES = {
    "not_found": "not found",
    "unavailable": "the server failed; try again",
    "timed_out": "there was no whole answer in time",
}


class RiadError(Exception):
    """What a host call answers instead of a result. A stage that does not catch it fails: the client gets a 422."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class InvalidRequest(Exception):
    """The client's request cannot be served: the client gets a 400 with the message. From a tool, the model gets it and may try again."""


def from_host(value: Any) -> RiadError:
    """A case of the contract's `error` or `http-error`: an object of a class such as `Error_NotFound`."""
    case = type(value).__name__.rpartition("_")[2]
    kind: Any = re.sub(r"(?<!^)(?=[A-Z])", "_", case).lower()
    text = getattr(value, "value", _MESSAGES.get(kind, kind))
    return RiadError(kind, f"limit exceeded: {text}" if kind == "limit_exceeded" else text)
