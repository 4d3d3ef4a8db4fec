"""The tenant's documents: search, whole documents, a list."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ._host import call, load, text, whole
from ._wire import passage_from_host, to_json
from .types import Passage

_host = load("documents")
_PAGE = 100


@dataclass
class Document:
    id: str
    title: str
    text: str
    metadata: dict[str, Any]


@dataclass
class Summary:
    """A document without its text."""

    id: str
    title: str
    metadata: dict[str, Any]
    bytes: int
    """Bytes of its text, as UTF-8."""
    chunks: int
    """Pieces that a search can find."""


def search(query: str, limit: int = 5, filter: dict[str, Any] | None = None) -> list[Passage]:
    """Hybrid search, best first. `limit` is 1 to 100. `filter`: only documents whose metadata has each of its members, at most 32, with
    an equal value.

    Raises `invalid_argument` for a query without text, a limit of 0, a filter that cannot be used.
    """
    found = call(lambda: _host.search(text("query", query), whole("limit", limit), to_json(filter or {})))
    return [passage_from_host(passage) for passage in found]


def search_stores(stores: list[str], query: str, limit: int = 5, filter: dict[str, Any] | None = None) -> list[Passage]:
    """Like `search`, in these vector stores, 1 to 8 ids. `filter` is of the files' attributes.

    Raises `not_found` when the tenant does not have one of the stores.
    """
    ids = [text("stores", id) for id in stores]
    found = call(lambda: _host.search_stores(ids, text("query", query), whole("limit", limit), to_json(filter or {})))
    return [passage_from_host(passage) for passage in found]


def get(id: str) -> Document:
    """A whole document. Raises `not_found`."""
    found = call(lambda: _host.get(text("id", id)))
    return Document(id=found.id, title=found.title, text=found.text, metadata=json.loads(found.metadata))


def list_documents(after: str | None = None, limit: int = _PAGE) -> list[Summary]:
    """Documents in the order of their ids, those after `after`. `limit` is 1 to 100; fewer are the last ones."""
    page = call(lambda: _host.list_documents(after, whole("limit", limit)))
    return [
        Summary(
            id=summary.id,
            title=summary.title,
            metadata=json.loads(summary.metadata),
            bytes=summary.bytes,
            chunks=summary.chunks,
        )
        for summary in page
    ]


def all_documents() -> Iterator[Summary]:
    """All documents in the order of their ids, one host call per 100."""
    page = list_documents()
    while page:
        yield from page
        page = list_documents(after=page[-1].id) if len(page) == _PAGE else []
