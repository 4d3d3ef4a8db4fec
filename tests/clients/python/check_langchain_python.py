"""LangChain for Python."""

from typing import Literal

import openai
import pydantic
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAI, OpenAIEmbeddings

from common import *


class Verdict(pydantic.BaseModel):
    """Whether it is good."""

    mood: Literal["good", "bad"]
    sure: bool


@tool
def weather(city: Literal["Bern", "Oslo"], tomorrow: bool) -> str:
    """The weather of a city"""
    return f"It rains in {city}."


def connect(key=KEY, **more):
    given = {"model": MODEL, "temperature": 0, "max_tokens": 128, "max_retries": 0}
    return ChatOpenAI(base_url=BASE_URL, api_key=key, **{**given, **more})


chat = connect()


def check_chat():
    answer = chat.invoke(QUESTION)
    assert answer.content and answer.usage_metadata["output_tokens"] > 0, answer
    assert [answer.content] * 2 == [answer.content for answer in chat.batch([QUESTION] * 2)]


def check_stream():
    whole = chat.invoke(QUESTION).content
    total = AIMessageChunk("")
    for chunk in chat.stream(QUESTION, stream_usage=True):
        total += chunk
    assert total.content == whole and total.usage_metadata["output_tokens"] > 0, total


def check_tools():
    bound = chat.bind_tools([weather], tool_choice="any", parallel_tool_calls=False)
    question = HumanMessage(QUESTION)
    answer = bound.invoke([question])
    assert len(answer.tool_calls) == 1 and not answer.invalid_tool_calls, answer
    call = answer.tool_calls[0]
    check_weather(call["args"])
    result = weather.invoke(call)
    assert isinstance(result, ToolMessage)
    assert isinstance(chat.bind_tools([weather]).invoke([question, answer, result]).content, str)
    total = AIMessageChunk("")
    for chunk in bound.stream([question]):
        total += chunk
    assert total.tool_calls[0]["args"] == call["args"]


def check_structured():
    for method in ("json_schema", "function_calling"):
        assert isinstance(chat.with_structured_output(Verdict, method=method).invoke(QUESTION), Verdict), method


def check_embeddings():
    # It sends tokens of OpenAI's models by default, which another model cannot know.
    embed = OpenAIEmbeddings(base_url=BASE_URL, api_key=KEY, model=EMBEDDER, check_embedding_ctx_length=False)
    check_vectors(embed.embed_documents(TEXTS))
    assert embed.embed_query(TEXTS[0]) == embed.embed_documents(TEXTS[:1])[0]


def check_completions():
    model = OpenAI(base_url=BASE_URL, api_key=KEY, model=MODEL, temperature=0, max_tokens=8)
    whole = model.invoke("The refund window is")
    assert whole and "".join(model.stream("The refund window is")) == whole


def check_responses():
    model = connect(use_responses_api=True)
    answer = model.invoke(QUESTION)
    text = lambda message: message.text if isinstance(message.text, str) else message.text()
    assert text(answer), answer
    total = AIMessageChunk("")
    for chunk in model.stream(QUESTION):
        total += chunk
    assert text(total) == text(answer), total


def check_errors():
    expect(openai.AuthenticationError, lambda: connect(WRONG_KEY).invoke("Hello"))
    expect(openai.NotFoundError, lambda: connect(model="gpt-none").invoke("Hello"))
    expect(openai.BadRequestError, lambda: connect(temperature=3).invoke("Hello"))


def check_retries():
    hasty = connect(LIMITED_KEY, max_tokens=2)
    until_refused(openai.RateLimitError, lambda: hasty.invoke("Hello"))
    assert connect(LIMITED_KEY, max_tokens=2, max_retries=3).invoke("Hello").usage_metadata["output_tokens"]


version("langchain-openai")
lacks("models", "it lists no models")
check_features({
    "chat": check_chat,
    "stream": check_stream,
    "tools": check_tools,
    "structured": check_structured,
    "embeddings": check_embeddings,
    "completions": check_completions,
    "responses": check_responses,
    "errors": check_errors,
    "retries": check_retries,
})
finish()
