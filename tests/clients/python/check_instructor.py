"""instructor, around OpenAI's client."""

from typing import Literal

import instructor
import openai
import pydantic
from instructor.core import InstructorRetryException

from common import *

ASKED = {
    "model": MODEL,
    "messages": [{"role": "user", "content": QUESTION}],
    "temperature": 0,
    "max_tokens": 128,
    "max_retries": 0,
}


class Verdict(pydantic.BaseModel):
    """Whether it is good."""

    mood: Literal["good", "bad"]
    sure: bool


class Weather(pydantic.BaseModel):
    """The weather of a city"""

    city: Literal["Bern", "Oslo"]
    tomorrow: bool


def connect(mode=instructor.Mode.TOOLS, key=KEY, retries=0):
    return instructor.from_openai(openai.OpenAI(base_url=BASE_URL, api_key=key, max_retries=retries), mode=mode)


def check_chat():
    answer = connect().create(response_model=str, **ASKED)
    assert isinstance(answer, str)


def check_stream():
    # Each part of the answer, as soon as it is there.
    whole = connect(instructor.Mode.JSON_SCHEMA).create(response_model=Verdict, **ASKED)
    parts = list(connect(instructor.Mode.JSON_SCHEMA).create_partial(response_model=Verdict, **ASKED))
    assert len(parts) > 1 and parts[-1].model_dump() == whole.model_dump(), parts


def check_tools():
    weather = connect(instructor.Mode.TOOLS).create(response_model=Weather, **ASKED)
    check_weather(weather.model_dump())


def check_structured():
    for mode in (instructor.Mode.JSON_SCHEMA, instructor.Mode.TOOLS):
        assert isinstance(connect(mode).create(response_model=Verdict, **ASKED), Verdict), mode
    verdict, raw = connect().create_with_completion(response_model=Verdict, **ASKED)
    assert isinstance(verdict, Verdict) and raw.usage.completion_tokens > 0


def refused(kind, call):
    """The client's error has the one of OpenAI's client as its cause, or is it."""
    error = expect((InstructorRetryException, kind), call)
    causes = []
    while error is not None:
        causes.append(error)
        error = error.__cause__
    assert any(isinstance(cause, kind) for cause in causes) or kind.__name__ in repr(causes), causes


def check_errors():
    ask = lambda client, **more: client.create(response_model=Verdict, **{**ASKED, **more})
    refused(openai.AuthenticationError, lambda: ask(connect(key=WRONG_KEY)))
    refused(openai.NotFoundError, lambda: ask(connect(), model="gpt-none"))
    refused(openai.BadRequestError, lambda: ask(connect(), temperature=3))


def check_retries():
    ask = lambda client: client.create(response_model=Verdict, **ASKED)
    hasty = connect(key=LIMITED_KEY)
    until_refused((InstructorRetryException, openai.RateLimitError), lambda: ask(hasty))
    assert isinstance(ask(connect(key=LIMITED_KEY, retries=3)), Verdict)


version("instructor")
lacks("models", "it lists no models")
lacks("embeddings", "it makes no embeddings")
check_features({
    "chat": check_chat,
    "stream": check_stream,
    "tools": check_tools,
    "structured": check_structured,
    "errors": check_errors,
    "retries": check_retries,
})
finish()
