"""Retrieval that finds nothing, for the benchmark of plugins."""

from riad_sdk import Passage, Request, retrieval


@retrieval
def retrieve(request: Request) -> list[Passage]:
    return []
