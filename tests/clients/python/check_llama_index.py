"""LlamaIndex."""

from typing import Literal

import openai
import pydantic
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike

from common import *


class Verdict(pydantic.BaseModel):
    """Whether it is good."""

    mood: Literal["good", "bad"]
    sure: bool


def weather(city: Literal["Bern", "Oslo"], tomorrow: bool) -> str:
    """The weather of a city"""
    return f"It rains in {city}."


def connect(key=KEY, **more):
    given = {
        "model": MODEL,
        "temperature": 0,
        "max_tokens": 128,
        "max_retries": 0,
        "context_window": 1024,
        "is_chat_model": True,
        "is_function_calling_model": True,
    }
    return OpenAILike(api_base=BASE_URL, api_key=key, **{**given, **more})


llm = connect()
MESSAGES = [ChatMessage(role="user", content=QUESTION)]


def check_chat():
    assert llm.chat(MESSAGES).message.content


def check_stream():
    whole = llm.chat(MESSAGES).message.content
    assert "".join(piece.delta or "" for piece in llm.stream_chat(MESSAGES)) == whole


def check_tools():
    tool = FunctionTool.from_defaults(weather)
    answer = llm.chat_with_tools([tool], user_msg=QUESTION, tool_required=True, allow_parallel_tool_calls=False)
    calls = llm.get_tool_calls_from_response(answer)
    assert len(calls) == 1 and calls[0].tool_name == "weather", answer
    check_weather(calls[0].tool_kwargs)


def check_structured():
    prompt = PromptTemplate("Is {thing} good?")
    assert isinstance(llm.structured_predict(Verdict, prompt, thing="rain"), Verdict)
    native = connect(should_use_structured_outputs=True)
    assert isinstance(native.structured_predict(Verdict, prompt, thing="rain"), Verdict)


def check_embeddings():
    embed = OpenAILikeEmbedding(model_name=EMBEDDER, api_base=BASE_URL, api_key=KEY)
    check_vectors(embed.get_text_embedding_batch(TEXTS))
    assert len(embed.get_query_embedding("a lamp")) == 256


def check_completions():
    model = connect(is_chat_model=False, is_function_calling_model=False, max_tokens=8)
    whole = model.complete("The refund window is").text
    assert whole and "".join(piece.delta or "" for piece in model.stream_complete("The refund window is")) == whole


def check_errors():
    expect(openai.AuthenticationError, lambda: connect(WRONG_KEY).chat(MESSAGES))
    expect(openai.NotFoundError, lambda: connect(model="gpt-none").chat(MESSAGES))
    expect(openai.BadRequestError, lambda: connect(additional_kwargs={"top_p": 3}).chat(MESSAGES))


def check_retries():
    hasty = connect(LIMITED_KEY, max_tokens=2)
    until_refused(openai.RateLimitError, lambda: hasty.chat(MESSAGES))
    assert connect(LIMITED_KEY, max_tokens=2, max_retries=3).chat(MESSAGES).raw.usage.completion_tokens


version("llama-index-llms-openai-like")
lacks("models", "it lists no models")
check_features({
    "chat": check_chat,
    "stream": check_stream,
    "tools": check_tools,
    "structured": check_structured,
    "embeddings": check_embeddings,
    "completions": check_completions,
    "errors": check_errors,
    "retries": check_retries,
})
finish()
