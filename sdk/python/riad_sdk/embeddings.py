"""The embedding model that the documents were indexed with."""

from collections.abc import Sequence

from ._host import call, load, text

_host = load("embeddings")


def embed(texts: Sequence[str]) -> list[list[float]]:
    """One unit vector per text, in order; zeros for a text without a known token. Tokens are billed to the tenant.

    Raises `invalid_argument` for more texts than `limits.embedding_inputs`.
    """
    return call(lambda: _host.embed([text("texts", one) for one in texts]))
