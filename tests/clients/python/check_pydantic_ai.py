"""pydantic-ai."""

import asyncio
from typing import Literal

import openai
import pydantic
from pydantic_ai import Agent, Embedder, ModelHTTPError, NativeOutput, ToolOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from common import *

SETTINGS = {"temperature": 0, "max_tokens": 128}


class Verdict(pydantic.BaseModel):
    """Whether it is good."""

    mood: Literal["good", "bad"]
    sure: bool


def provider(key=KEY, retries=0):
    client = openai.AsyncOpenAI(base_url=BASE_URL, api_key=key, max_retries=retries)
    return OpenAIProvider(openai_client=client)


def agent(name=MODEL, key=KEY, retries=0, kind=OpenAIChatModel, **more):
    model = kind(name, provider=provider(key, retries))
    return Agent(model, **{"model_settings": SETTINGS, **more})


def check_chat():
    answer = agent().run_sync(QUESTION)
    usage = answer.usage() if callable(answer.usage) else answer.usage
    assert answer.output and usage.output_tokens > 0, answer
    # A second question, with what was said before.
    assert agent().run_sync("And then?", message_history=answer.all_messages()).output


def check_stream(**more):
    async def read():
        async with agent(**more).run_stream(QUESTION) as answer:
            return "".join([piece async for piece in answer.stream_text(delta=True, debounce_by=None)])

    assert asyncio.run(read()) == agent(**more).run_sync(QUESTION).output


def check_tools():
    # The output is a call of a tool, which the client requires: the arguments are the tool's.
    called = []

    def weather(city: Literal["Bern", "Oslo"], tomorrow: bool) -> str:
        """The weather of a city"""
        called.append({"city": city, "tomorrow": tomorrow})
        return f"It rains in {city}."

    answer = agent(output_type=[weather]).run_sync(QUESTION)
    assert answer.output.startswith("It rains in ") and len(called) == 1, answer
    check_weather(called[0])


def check_structured():
    for output in (NativeOutput(Verdict), ToolOutput(Verdict), Verdict):
        assert isinstance(agent(output_type=output).run_sync(QUESTION).output, Verdict), output


def check_embeddings():
    embedder = Embedder(OpenAIEmbeddingModel(EMBEDDER, provider=provider()))
    check_vectors(embedder.embed_documents_sync(TEXTS).embeddings)


def check_responses():
    more = {"kind": OpenAIResponsesModel}
    assert agent(**more).run_sync(QUESTION).output
    check_stream(**more)
    assert isinstance(agent(**more, output_type=NativeOutput(Verdict)).run_sync(QUESTION).output, Verdict)
    assert isinstance(agent(**more, output_type=ToolOutput(Verdict)).run_sync(QUESTION).output, Verdict)


def check_errors():
    for status, one in ((401, agent(key=WRONG_KEY)), (404, agent("gpt-none"))):
        assert expect(ModelHTTPError, lambda: one.run_sync("Hello")).status_code == status
    hot = {**SETTINGS, "temperature": 3}
    assert expect(ModelHTTPError, lambda: agent(model_settings=hot).run_sync("Hello")).status_code == 400


def check_retries():
    short = {"model_settings": {**SETTINGS, "max_tokens": 8}}
    hasty = agent(key=LIMITED_KEY, **short)
    assert until_refused(ModelHTTPError, lambda: hasty.run_sync("Hello")).status_code == 429
    assert agent(key=LIMITED_KEY, retries=3, **short).run_sync("Hello").output


version("pydantic-ai-slim")
lacks("models", "it lists no models")
check_features({
    "chat": check_chat,
    "stream": check_stream,
    "tools": check_tools,
    "structured": check_structured,
    "embeddings": check_embeddings,
    "responses": check_responses,
    "errors": check_errors,
    "retries": check_retries,
})
finish()
