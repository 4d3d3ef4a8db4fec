"""Between what authors write and the records of the contracts. What an author gets wrong is named here: the bindings would end the
plugin without a word."""

import json
import math
from typing import Any

from ._host import load
from .types import Citation, Ending, Message, Passage, Profile, Prompt, Request

_pipeline = load("riad_pipeline_types")
_types = load("riad_types_types")


def request_from_host(request: Any) -> Request:
    profile = request.profile
    return Request(
        messages=[message_from_host(message) for message in request.messages],
        profile=Profile(
            id=profile.id,
            context_tokens=profile.context_tokens,
            prompt_tokens=profile.prompt_tokens,
            passages=profile.passages,
            sentences=profile.sentences,
        ),
        max_tokens=request.max_tokens,
    )


def message_from_host(message: Any) -> Message:
    role: Any = message.role.name.lower()
    return Message(role=role, content=message.content)


def message_to_host(message: Message, module: Any = _pipeline) -> Any:
    """`generation` has a type of its own for messages."""
    expect(message, Message, "a message")
    try:
        role = module.Role[message.role.upper()]
    except (KeyError, AttributeError):
        raise TypeError(f"a message's role must be system, user or assistant, not {message.role!r}") from None
    return module.Message(role=role, content=expect(message.content, str, "a message's content"))


def passage_from_host(passage: Any) -> Passage:
    return Passage(
        document=passage.document,
        text=passage.text,
        chunk=passage.chunk,
        title=passage.title,
        score=passage.score,
        metadata=json.loads(passage.metadata),
    )


def passage_to_host(passage: Passage) -> Any:
    expect(passage, Passage, "a passage")
    score = float(passage.score)
    if not math.isfinite(score):
        raise ValueError(f"a passage's score must be finite, not {score}")
    return _types.Passage(
        document=expect(passage.document, str, "a passage's document"),
        chunk=count(passage.chunk, "a passage's chunk"),
        title=expect(passage.title, str, "a passage's title"),
        text=expect(passage.text, str, "a passage's text"),
        score=score,
        metadata=to_json(expect(passage.metadata, dict, "a passage's metadata")),
    )


def prompt_from_host(prompt: Any) -> Prompt:
    return Prompt(
        messages=[message_from_host(message) for message in prompt.messages],
        passages=[passage_from_host(passage) for passage in prompt.passages],
    )


def prompt_to_host(prompt: Prompt) -> Any:
    expect(prompt, Prompt, "what prompting returns")
    return _pipeline.Prompt(
        messages=[message_to_host(message) for message in prompt.messages],
        passages=[passage_to_host(passage) for passage in prompt.passages],
    )


def ending_to_host(ending: Ending | str | None) -> Any:
    """A filter may end with a text alone, or with nothing."""
    ending = Ending() if ending is None else Ending(ending) if isinstance(ending, str) else ending
    expect(ending, Ending, "what finish returns")
    return _pipeline.Ending(
        text=expect(ending.text, str, "an ending's text"),
        citations=[_citation_to_host(citation) for citation in ending.citations],
    )


def _citation_to_host(citation: Citation) -> Any:
    expect(citation, Citation, "a citation")
    return _pipeline.Citation(passage=count(citation.passage, "a citation's passage"), grounded=bool(citation.grounded))


def stage_error(is_invalid_request: bool, message: str) -> Any:
    case = _pipeline.StageError_InvalidRequest if is_invalid_request else _pipeline.StageError_Failed
    return case(message)


def to_json(value: Any) -> str:
    """Without NaN, which is no JSON."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def expect(value: Any, kind: type, what: str) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{what} must be a {kind.__name__}, not a {type(value).__name__}")
    return value


def count(value: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        raise TypeError(f"{what} must be a whole number from 0, not {value!r}")
    return value
