"""Words that stages and capabilities share."""

from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant"]

FinishReason = Literal["stop", "length", "tool_calls"]
"""Why the model's output ended: it was done or wrote one of the request's `stop` sequences; the answer has as many tokens as it may
have; the model calls tools of the client's."""


@dataclass
class Message:
    role: Role
    content: str


@dataclass
class Passage:
    """A chunk of a document, or a part of one."""

    document: str
    """The document's id: 1 to 64 of a-z, 0-9, `-` and `_`."""
    text: str
    chunk: int = 0
    """Position of the chunk in its document, from 0."""
    title: str = ""
    score: float = 0.0
    """Fused score of the search; only its order means something."""
    metadata: dict[str, Any] = field(default_factory=dict)
    """The document's metadata, as JSON has it."""


@dataclass
class Profile:
    """What a prompt must know of the model that will read it."""

    id: str
    """The model's name in the API."""
    context_tokens: int
    """Tokens that prompt and completion may have together."""
    prompt_tokens: int
    """Tokens up to which a prompt should be filled."""
    passages: int
    """Passages that a prompt should have at most."""
    sentences: int
    """Sentences that a passage should keep around its best match."""


@dataclass
class Request:
    """The chat request that the pipeline serves."""

    messages: list[Message]
    """As the client sent them; the last one is the user's."""
    profile: Profile
    max_tokens: int
    """Tokens that the answer may have."""

    @property
    def question(self) -> str:
        """The last message's text."""
        return self.messages[-1].content


@dataclass
class Prompt:
    messages: list[Message]
    """What the model is given."""
    passages: list[Passage] = field(default_factory=list)
    """The passages as the prompt numbers them, from 1. They are returned with the answer."""


@dataclass
class Citation:
    """Whether what the answer quotes from a passage stands in it."""

    passage: int
    """Number of the passage in the prompt, from 1."""
    grounded: bool


@dataclass
class Ending:
    text: str = ""
    """What the filter still held back."""
    citations: list[Citation] = field(default_factory=list)
