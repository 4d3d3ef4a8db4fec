"""Haystack."""

import os

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

from typing import Literal

import openai
import pydantic
from haystack import Document, Pipeline
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.components.generators.chat import OpenAIChatGenerator
from haystack.dataclasses import ChatMessage
from haystack.tools import Tool
from haystack.utils import Secret

from common import *


class Verdict(pydantic.BaseModel):
    """Whether it is good."""

    mood: Literal["good", "bad"]
    sure: bool


MESSAGES = [ChatMessage.from_user(QUESTION)]
WEATHER_TOOL = Tool(
    name="weather",
    description="The weather of a city",
    parameters=WEATHER,
    function=lambda city, tomorrow: f"It rains in {city}.",
)


def connect(key=KEY, model=MODEL, max_retries=0, generation=None, **more):
    return OpenAIChatGenerator(
        api_key=Secret.from_token(key),
        api_base_url=BASE_URL,
        model=model,
        max_retries=max_retries,
        generation_kwargs={"temperature": 0, "max_tokens": 128, **(generation or {})},
        **more,
    )


def check_chat():
    pipeline = Pipeline()
    pipeline.add_component("llm", connect())
    answer = pipeline.run({"llm": {"messages": MESSAGES}})["llm"]["replies"][0]
    assert answer.text and answer.meta["usage"]["completion_tokens"] > 0, answer


def check_stream():
    pieces = []
    streamed = connect(streaming_callback=lambda chunk: pieces.append(chunk.content)).run(MESSAGES)["replies"][0]
    assert "".join(pieces) == streamed.text == connect().run(MESSAGES)["replies"][0].text


def check_tools():
    generation = {"tool_choice": "required", "parallel_tool_calls": False}
    answer = connect(tools=[WEATHER_TOOL], generation=generation).run(MESSAGES)["replies"][0]
    assert len(answer.tool_calls) == 1 and answer.tool_calls[0].tool_name == "weather", answer
    check_weather(answer.tool_calls[0].arguments)
    result = ChatMessage.from_tool(WEATHER_TOOL.invoke(**answer.tool_calls[0].arguments), origin=answer.tool_calls[0])
    assert connect(tools=[WEATHER_TOOL]).run([*MESSAGES, answer, result])["replies"]


def check_structured():
    answer = connect(generation={"response_format": Verdict}).run(MESSAGES)["replies"][0]
    Verdict.model_validate_json(answer.text)


def check_embeddings():
    given = {"api_key": Secret.from_token(KEY), "api_base_url": BASE_URL, "model": EMBEDDER}
    made = OpenAIDocumentEmbedder(**given).run([Document(content=text) for text in TEXTS])["documents"]
    check_vectors([document.embedding for document in made])
    assert len(OpenAITextEmbedder(**given).run("a lamp")["embedding"]) == 256


def check_errors():
    expect(openai.AuthenticationError, lambda: connect(WRONG_KEY).run(MESSAGES))
    expect(openai.NotFoundError, lambda: connect(model="gpt-none").run(MESSAGES))
    expect(openai.BadRequestError, lambda: connect(generation={"temperature": 3}).run(MESSAGES))


def check_retries():
    short = {"generation": {"max_tokens": 2}}
    hasty = connect(LIMITED_KEY, **short)
    until_refused(openai.RateLimitError, lambda: hasty.run(MESSAGES))
    assert connect(LIMITED_KEY, max_retries=3, **short).run(MESSAGES)["replies"]


version("haystack-ai")
lacks("models", "it lists no models")
check_features({
    "chat": check_chat,
    "stream": check_stream,
    "tools": check_tools,
    "structured": check_structured,
    "embeddings": check_embeddings,
    "errors": check_errors,
    "retries": check_retries,
})
finish()
