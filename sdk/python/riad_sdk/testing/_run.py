"""Runs a plugin's stages as the host does: in the records of the contract, with the host's checks of what comes back. Each function takes
the plugin's module, and finds the stage at the decorated function or class."""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, TypeVar

from .._wire import message_to_host, passage_from_host, passage_to_host, prompt_from_host, prompt_to_host
from ..errors import InvalidRequest
from ..types import Citation, FinishReason, Message, Passage, Profile, Prompt, Request
from .. import _contracts

Result = TypeVar("Result")


class StageFailed(Exception):
    """The stage failed, or returned what the host refuses; the client would get a 422."""


@dataclass
class Answer:
    text: str
    pieces: list[str]
    """What the client reads; the last one is the ending."""
    citations: list[Citation]


def make_request(
    question: str = "Hello?", *, messages: list[Message] | None = None, max_tokens: int = 256, **profile: Any
) -> Request:
    """A chat request as a stage gets it. `profile` has members of `Profile` that matter to the test."""
    known: dict[str, Any] = {"id": "test", "context_tokens": 4096, "prompt_tokens": 1024, "passages": 4, "sentences": 2}
    return Request(messages or [Message("user", question)], Profile(**{**known, **profile}), max_tokens)


def retrieve(plugin: ModuleType, asked: str | Request) -> list[Passage]:
    stage = _stage(plugin, "Retrieval")()
    passages = _run(lambda: stage.retrieve(_request_to_host(asked)))
    _check_passages(passages)
    return [passage_from_host(passage) for passage in passages]


def build_prompt(plugin: ModuleType, asked: str | Request, passages: Sequence[Passage] = ()) -> Prompt:
    stage = _stage(plugin, "Prompting")()
    given = [passage_to_host(passage) for passage in passages]
    prompt = _run(lambda: stage.build_prompt(_request_to_host(asked), given))
    _check(bool(prompt.messages), "a prompt needs a message")
    _check_passages(prompt.passages)
    return prompt_from_host(prompt)


def postprocess(
    plugin: ModuleType,
    pieces: Sequence[str],
    *,
    asked: str | Request = "Hello?",
    passages: Sequence[Passage] = (),
    finish: FinishReason = "stop",
) -> Answer:
    """One choice of an answer: the model's pieces in, what the client reads out. `passages` are those of the prompt."""
    request = _request(asked)
    prompt = prompt_to_host(Prompt(request.messages, list(passages)))
    filter = _stage(plugin, "Filter")(_request_to_host(request), prompt)
    out = [_push(filter, piece) for piece in pieces]
    ending = _run(lambda: filter.finish(_contracts.riad_pipeline_types.FinishReason[finish.upper()]))
    for citation in ending.citations:
        _check(1 <= citation.passage <= len(passages), f"the prompt has no passage {citation.passage}")
    citations = [Citation(citation.passage, citation.grounded) for citation in ending.citations]
    return Answer("".join(out) + ending.text, [*out, ending.text], citations)


def _push(filter: Any, piece: str) -> str:
    return _run(lambda: str(filter.push(piece)))


def offer(plugin: ModuleType) -> list[dict[str, Any]]:
    """Name, description and parameters of each tool."""
    offered = _run(_stage(plugin, "Tools")().offer)
    _check(len(offered) <= 32, "there are at most 32 tools")
    for tool in offered:
        is_name = re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", tool.name) is not None
        _check(is_name, f"a tool's name has 1 to 64 letters, digits, _ and -, which {tool.name} has not")
    return [
        {"name": tool.name, "description": tool.description, "parameters": json.loads(tool.parameters)} for tool in offered
    ]


def call_tool(plugin: ModuleType, name: str, **arguments: Any) -> str:
    """Runs a tool and returns what the model reads. Raises `InvalidRequest` for what the model may try again."""
    stage = _stage(plugin, "Tools")()
    return _run(lambda: stage.call(name, json.dumps(arguments)))


def _stage(plugin: ModuleType, name: str) -> Any:
    for value in vars(plugin).values():
        stage = getattr(value, "riad_stage", None)
        if stage is not None and stage.__name__ == name:
            return stage
    raise LookupError(f"{plugin.__name__} has nothing that is decorated for {name}")


def _request(asked: str | Request) -> Request:
    return make_request(asked) if isinstance(asked, str) else asked


def _request_to_host(asked: str | Request) -> Any:
    request = _request(asked)
    messages = [message_to_host(message) for message in request.messages]
    profile = _contracts.model.Profile(**vars(request.profile))
    return _contracts.riad_pipeline_types.Request(messages, profile, request.max_tokens)


def _run(stage: Callable[[], Result]) -> Result:
    try:
        return stage()
    except _contracts.Err as error:
        is_invalid = isinstance(error.value, _contracts.riad_pipeline_types.StageError_InvalidRequest)
        raise (InvalidRequest if is_invalid else StageFailed)(error.value.value) from None


def _check_passages(passages: Sequence[Any]) -> None:
    for passage in passages:
        is_id = re.fullmatch(r"[a-z0-9_-]{1,64}", passage.document) is not None
        _check(is_id, f"a passage's document has 1 to 64 of a-z, 0-9, - and _, which {passage.document} has not")


def _check(holds: bool, message: str) -> None:
    if not holds:
        raise StageFailed(message)
