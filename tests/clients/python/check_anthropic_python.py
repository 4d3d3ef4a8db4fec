"""Anthropic's client for Python, against `/v1/messages`."""

from typing import Literal

import anthropic
import pydantic

from common import *


class Verdict(pydantic.BaseModel):
    mood: Literal["good", "bad"]
    sure: bool


# This version has no argument for the temperature, which the API has.
GREEDY = {"temperature": 0}
ASKED = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 128, "extra_body": GREEDY}
HELLO = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}
WEATHER_TOOL = {"name": "weather", "description": "The weather of a city", "input_schema": WEATHER}


def connect(key=KEY, **more):
    return anthropic.Anthropic(base_url=URL, api_key=key, **{"max_retries": 0, **more})


client = connect()


def check_chat():
    answer = client.messages.create(**ASKED)
    assert answer.type == "message" and answer.role == "assistant" and answer.id.startswith("msg_")
    assert answer.content[0].type == "text" and answer.content[0].text
    assert answer.stop_reason in ("end_turn", "max_tokens", "stop_sequence")
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0
    assert client.messages.create(**ASKED, system="Be brief.", stop_sequences=["days"]).content is not None
    counted = client.messages.count_tokens(model=MODEL, messages=ASKED["messages"])
    assert counted.input_tokens > 0


def check_stream():
    whole = client.messages.create(**ASKED)
    with client.messages.stream(**ASKED) as stream:
        assert "".join(stream.text_stream) == whole.content[0].text
        final = stream.get_final_message()
    assert final.stop_reason == whole.stop_reason and final.usage.output_tokens == whole.usage.output_tokens


def check_tools():
    for choice in ({"type": "any"}, {"type": "tool", "name": "weather"}):
        choice["disable_parallel_tool_use"] = True
        answer = client.messages.create(**ASKED, tools=[WEATHER_TOOL], tool_choice=choice)
        calls = [block for block in answer.content if block.type == "tool_use"]
        assert answer.stop_reason == "tool_use" and len(calls) == 1 and calls[0].name == "weather", answer
        check_weather(calls[0].input)
    with client.messages.stream(**ASKED, tools=[WEATHER_TOOL], tool_choice=choice) as stream:
        final = stream.get_final_message()
    assert [block.input for block in final.content if block.type == "tool_use"] == [calls[0].input]
    said = {"role": "assistant", "content": [block.model_dump() for block in answer.content]}
    result = {"type": "tool_result", "tool_use_id": calls[0].id, "content": "It rains."}
    messages = [*ASKED["messages"], said, {"role": "user", "content": [result]}]
    assert client.messages.create(**{**ASKED, "messages": messages}, tools=[WEATHER_TOOL]).role == "assistant"


def check_structured():
    answer = client.messages.parse(**ASKED, output_format=Verdict)
    assert isinstance(answer.parsed_output, Verdict), answer


def refused(kind, status, type, call):
    error = expect(kind, call)
    assert error.status_code == status and error.body["error"]["type"] == type, error.body


def check_errors():
    create = client.messages.create
    wrong = connect(WRONG_KEY)
    refused(anthropic.AuthenticationError, 401, "authentication_error", lambda: wrong.messages.create(**HELLO))
    refused(anthropic.NotFoundError, 404, "not_found_error", lambda: create(**{**HELLO, "model": "claude-none"}))
    refused(anthropic.BadRequestError, 400, "invalid_request_error", lambda: create(**HELLO, extra_body={"temperature": 3}))


def check_retries():
    hasty = connect(LIMITED_KEY)
    for _ in range(10):
        error = until_refused(anthropic.RateLimitError, lambda: hasty.messages.create(**HELLO))
        assert error.body["error"]["type"] == "rate_limit_error" and error.response.headers["retry-after"]
        raw = hasty.with_options(max_retries=2).messages.with_raw_response.create(**HELLO)
        assert raw.parse().usage.output_tokens > 0
        if raw.retries_taken:
            return
    raise AssertionError("the client never had to wait")


version("anthropic")
lacks("embeddings", "it makes no embeddings")
with feature("models"):
    assert MODEL in [model.id for model in client.models.list()]
check_features({
    "chat": check_chat,
    "stream": check_stream,
    "tools": check_tools,
    "structured": check_structured,
    "errors": check_errors,
    "retries": check_retries,
})
finish()
