"""Prompts of the plugin's own: to rewrite a question, to order passages, to summarize. Each waits in the tenant's place of the queue,
and its tokens are billed as the tenant's, in the entry of the request that it serves."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._host import call, load, text, whole
from ._wire import message_to_host, to_json
from .types import Message

_host = load("generation")


@dataclass
class Generated:
    text: str
    prompt_tokens: int
    completion_tokens: int
    is_cut: bool
    """The answer has as many tokens as it may have."""


def generate(
    prompt: str | Sequence[Message],
    *,
    max_tokens: int = 256,
    temperature: float = 0.0,
    stop: Sequence[str] = (),
    schema: dict[str, Any] | None = None,
) -> Generated:
    """An answer of the model that serves the request, with its adapter. No stage runs: what is given is what the model reads. A string is
    one message of the user's.

    `max_tokens` is 1 to the server's `limits.guest_generation_tokens`. A `temperature` of 0 is always the likeliest token; up to 2.
    `stop`: texts before which the answer ends, at most 4. `schema`: JSON Schema that the answer follows.
    """
    messages = [Message("user", prompt)] if isinstance(prompt, str) else prompt
    options = _host.Options(
        max_tokens=whole("max_tokens", max_tokens),
        temperature=float(temperature),
        stop=[text("stop", one) for one in stop],
        schema=None if schema is None else to_json(schema),
    )
    made = call(lambda: _host.generate([message_to_host(message, _host) for message in messages], options))
    return Generated(made.text, made.prompt_tokens, made.completion_tokens, made.is_cut)
