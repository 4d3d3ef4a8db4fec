"""Documents in memory; one with `vector_store` is in the store of this id.

The search counts common words: it finds what a test expects by its words, and ranks nothing like the server.
"""

import json
import re
from typing import Any

from .. import _contracts
from ._refusals import invalid, not_found


class FakeDocuments:
    def __init__(self, given: list[dict[str, Any]]) -> None:
        documents = [{"title": "", "metadata": {}, **document} for document in given]
        self._documents = sorted(documents, key=lambda document: document["id"])

    def search(self, query: str, limit: int, filter: str) -> list[Any]:
        return self._search(self._own(), query, limit, filter)

    def search_stores(self, stores: list[str], query: str, limit: int, filter: str) -> list[Any]:
        if not 1 <= len(stores) <= 8:
            raise invalid("a search must name 1 to 8 vector stores")
        searched = [document for document in self._documents if document.get("vector_store") in stores]
        if {document["vector_store"] for document in searched} != set(stores):
            raise not_found()
        return self._search(searched, query, limit, filter)

    def _own(self) -> list[dict[str, Any]]:
        return [document for document in self._documents if "vector_store" not in document]

    def _search(self, documents: list[dict[str, Any]], query: str, limit: int, filter: str) -> list[Any]:
        words = words_of(query)
        members = json.loads(filter)
        if not words:
            raise invalid("the query has no text")
        if limit == 0:
            raise invalid("the limit must be at least 1")
        if not isinstance(members, dict) or len(members) > 32:
            raise invalid("the filter must be a JSON object of at most 32 members")
        found = []
        for document in documents:
            if all(key in document["metadata"] and document["metadata"][key] == value for key, value in members.items()):
                found += [self._passage(document, index, chunk, words) for index, chunk in enumerate(_chunks(document))]
        matches = [passage for passage in found if passage.score > 0]
        return sorted(matches, key=lambda passage: -passage.score)[: min(limit, 100)]

    def get(self, id: str) -> Any:
        for document in self._own():
            if document["id"] == id:
                return _contracts.documents.Document(id, document["title"], document["text"], json.dumps(document["metadata"]))
        raise not_found()

    def list_documents(self, after: str | None, limit: int) -> list[Any]:
        if not 1 <= limit <= 100:
            raise invalid("the limit must be 1 to 100")
        later = [document for document in self._own() if after is None or document["id"] > after]
        return [
            _contracts.documents.Summary(
                document["id"],
                document["title"],
                json.dumps(document["metadata"]),
                len(document["text"].encode()),
                len(_chunks(document)),
            )
            for document in later[:limit]
        ]

    def _passage(self, document: dict[str, Any], index: int, chunk: str, words: set[str]) -> Any:
        common = words & words_of(f"{document['title']} {chunk}")
        return _contracts.riad_types_types.Passage(
            document=document["id"],
            chunk=index,
            title=document["title"],
            text=chunk,
            score=len(common) / len(words),
            metadata=json.dumps(document["metadata"]),
        )


def _chunks(document: dict[str, Any]) -> list[str]:
    """One per paragraph."""
    return [chunk for chunk in re.split(r"\n\s*\n", document["text"]) if chunk.strip()]


def words_of(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))
