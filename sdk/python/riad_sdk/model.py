"""The model that serves the request. Its profile is in `request.profile`."""

from ._host import call, load
from ._host import text as _text

_host = load("model")


def count_tokens(text: str) -> int:
    """Tokens of a text for this model, without any template."""
    return call(lambda: _host.count_tokens(_text("text", text)))
