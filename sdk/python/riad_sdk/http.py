"""Requests to hosts that the operator has granted to this tenant; without a grant, none."""

import json as _json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ._host import call, load, text
from ._wire import to_json
from .errors import RiadError

_host = load("http")


@dataclass
class Response:
    status: int
    """100 to 599; a redirect is an answer like any other, and is not followed."""
    headers: dict[str, str]
    """By names in lower case; the values of one name are joined with `, `."""
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 200 to 299."""
        return 200 <= self.status < 300

    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return _json.loads(self.body)


def send(
    url: str,
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: str | bytes = b"",
    json: Any = None,
) -> Response:
    """An answer of any status is returned. `json` is a body of JSON, in place of `body`; it sets `content-type` unless `headers` has one.
    `headers` are without `host`, `connection`, `content-length` and their like, which are the host's to set.

    Raises `invalid_argument`, `not_granted`, `failed` if the host could not be reached, `timed_out`, `limit_exceeded`.
    """
    verb = method.upper()
    if verb not in _host.Method.__members__:
        known = ", ".join(_host.Method.__members__)
        raise RiadError("invalid_argument", f"`method` must be one of {known}, not {method}")
    sent = dict(headers or {})
    if json is not None:
        body = to_json(json)
        if "content-type" not in {name.lower() for name in sent}:
            sent["content-type"] = "application/json"
    request = _host.Request(
        method=_host.Method[verb],
        url=text("url", url),
        headers=[_host.Header(name=name, value=str(value)) for name, value in sent.items()],
        body=body.encode() if isinstance(body, str) else bytes(body),
    )
    answer = call(lambda: _host.send(request))
    received: dict[str, str] = {}
    for header in answer.headers:
        name = header.name.lower()
        received[name] = f"{received[name]}, {header.value}" if name in received else header.value
    return Response(status=answer.status, headers=received, body=bytes(answer.body))
