"""LiteLLM: its SDK, and its proxy in front of Riad, which is asked with OpenAI's client."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time
from typing import Literal

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import httpx
import litellm
import openai
import pydantic

from common import *

litellm.telemetry = False


class Verdict(pydantic.BaseModel):
    mood: Literal["good", "bad"]
    sure: bool


ACCESS = {"api_base": BASE_URL, "api_key": KEY}
CHAT = {"model": f"openai/{MODEL}", **ACCESS, "max_retries": 0}
ASKED = {**CHAT, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 128}
HELLO = {**CHAT, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}


def check_chat():
    answer = litellm.completion(**ASKED, user="somebody")
    assert answer.choices[0].message.content and answer.usage.completion_tokens > 0


def check_stream():
    whole = litellm.completion(**ASKED)
    chunks = list(litellm.completion(**ASKED, stream=True, stream_options={"include_usage": True}))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    built = litellm.stream_chunk_builder(chunks)
    assert built.usage.completion_tokens == whole.usage.completion_tokens


def check_tools():
    answer = litellm.completion(**ASKED, tools=[TOOL], tool_choice="required", parallel_tool_calls=False)
    call = answer.choices[0].message.tool_calls[0]
    assert call.function.name == "weather"
    check_weather(json.loads(call.function.arguments))


def check_structured():
    answer = litellm.completion(**ASKED, response_format=Verdict)
    Verdict.model_validate_json(answer.choices[0].message.content)


def check_embeddings():
    made = litellm.embedding(model=f"openai/{EMBEDDER}", input=TEXTS, **ACCESS)
    check_vectors([item["embedding"] for item in made.data])


def check_completions():
    asked = {"model": f"text-completion-openai/{MODEL}", **ACCESS, "prompt": "The refund window is", "max_tokens": 8}
    assert litellm.text_completion(**asked, temperature=0).choices[0].text


def check_responses():
    answer = litellm.responses(model=f"openai/{MODEL}", **ACCESS, input=QUESTION, max_output_tokens=16, temperature=0)
    texts = [part.text for item in answer.output if item.type == "message" for part in item.content]
    assert "".join(texts), answer


def check_errors():
    expect(litellm.AuthenticationError, lambda: litellm.completion(**{**HELLO, "api_key": WRONG_KEY}))
    expect(litellm.NotFoundError, lambda: litellm.completion(**{**HELLO, "model": "openai/gpt-none"}))
    expect(litellm.BadRequestError, lambda: litellm.completion(**HELLO, temperature=3))
    long = [{"role": "user", "content": "lamp " * 20000}]
    expect(litellm.ContextWindowExceededError, lambda: litellm.completion(**{**HELLO, "messages": long}))


def check_retries():
    limited = {**HELLO, "api_key": LIMITED_KEY}
    until_refused(litellm.RateLimitError, lambda: litellm.completion(**limited))
    assert litellm.completion(**{**limited, "max_retries": 3}).choices


class Proxy:
    """LiteLLM's proxy with one model of each kind."""

    key = "sk-of-the-proxy-for-one-run-on-this-machine"

    def __enter__(self):
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        models = [(MODEL, "chat"), (EMBEDDER, "embedding")]
        config = {
            "model_list": [
                {
                    "model_name": name,
                    "litellm_params": {"model": f"openai/{name}", **ACCESS},
                    "model_info": {"mode": mode},
                }
                for name, mode in models
            ],
            "general_settings": {"master_key": self.key},
        }
        pathlib.Path("proxy.json").write_text(json.dumps(config))
        program = pathlib.Path(sys.executable).with_name("litellm")
        command = [program, "--config", "proxy.json", "--host", "127.0.0.1", "--port", str(port)]
        self.process = subprocess.Popen(command)
        self.url = f"http://127.0.0.1:{port}/v1"
        while True:
            assert self.process.poll() is None, "the proxy has ended"
            try:
                httpx.get(f"http://127.0.0.1:{port}/health/liveliness").raise_for_status()
                return self
            except httpx.HTTPError:
                time.sleep(0.5)

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


def check_through_proxy(client):
    assert {model.id for model in client.models.list()} == {MODEL, EMBEDDER}
    asked = {name: ASKED[name] for name in ("messages", "temperature", "max_tokens")} | {"model": MODEL}
    whole = client.chat.completions.create(**asked)
    assert whole.choices[0].message.content
    with client.chat.completions.stream(**asked) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content
    called = client.chat.completions.create(**asked, tools=[TOOL], tool_choice="required", parallel_tool_calls=False)
    check_weather(json.loads(called.choices[0].message.tool_calls[0].function.arguments))
    parsed = client.chat.completions.parse(**asked, response_format=Verdict)
    assert isinstance(parsed.choices[0].message.parsed, Verdict)
    check_vectors([item.embedding for item in client.embeddings.create(model=EMBEDDER, input=TEXTS).data])
    expect(openai.BadRequestError, lambda: client.chat.completions.create(**{**asked, "temperature": 3}))


version("litellm")
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
# All of it again in short, with the proxy's list of models.
with feature("models"), Proxy() as proxy:
    check_through_proxy(openai.OpenAI(base_url=proxy.url, api_key=proxy.key, max_retries=0))
finish()
