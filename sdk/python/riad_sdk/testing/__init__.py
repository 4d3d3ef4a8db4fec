"""Tests of plugins without a server, with `unittest` or pytest."""

from ._fake_host import FakeHost, HttpAnswer, HttpRequest, fake_host
from ._run import Answer, StageFailed, build_prompt, call_tool, make_request, offer, postprocess, retrieve

__all__ = [
    "Answer",
    "FakeHost",
    "HttpAnswer",
    "HttpRequest",
    "StageFailed",
    "build_prompt",
    "call_tool",
    "fake_host",
    "make_request",
    "offer",
    "postprocess",
    "retrieve",
]
