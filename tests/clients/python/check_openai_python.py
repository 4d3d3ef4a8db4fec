"""OpenAI's client for Python."""

import base64
import hashlib
import json
import struct
from typing import Literal

import openai
import pydantic

from common import *


class Verdict(pydantic.BaseModel):
    mood: Literal["good", "bad"]
    sure: bool


ASKED = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 128}
HELLO = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}


def connect(key=KEY, **more):
    return openai.OpenAI(base_url=BASE_URL, api_key=key, **{"max_retries": 0, **more})


client = connect()


def check_models():
    models = [model.id for model in client.models.list()]
    assert {MODEL, EMBEDDER} <= set(models), models
    model = client.models.retrieve(MODEL)
    assert model.id == MODEL and model.object == "model" and model.created > 0 and model.owned_by


def check_chat():
    whole = client.chat.completions.create(**ASKED)
    choice = whole.choices[0]
    assert whole.object == "chat.completion" and whole.id.startswith("chatcmpl-") and whole.model == MODEL
    assert choice.index == 0 and choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert whole.usage.prompt_tokens > 0 and whole.usage.completion_tokens > 0
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    # What OpenAI's format has no place for; the client hands it on.
    assert whole.riad["receipt"]["prompt_tokens"] == whole.usage.prompt_tokens
    assert any("Heron" in passage["text"] for passage in whole.riad["passages"]), whole.riad

    several = client.chat.completions.create(**ASKED, n=2, stop=["days"], seed=1, user="somebody")
    assert [choice.index for choice in several.choices] == [0, 1]
    assert all("days" not in choice.message.content for choice in several.choices)

    scored = client.chat.completions.create(**ASKED, logprobs=True, top_logprobs=2).choices[0].logprobs.content
    assert scored and all(len(token.top_logprobs) == 2 and token.logprob <= 0 for token in scored)

    warm = {**ASKED, "temperature": 2, "max_tokens": 24}
    ask = lambda **more: client.chat.completions.create(**warm, **more).choices[0].message.content
    one = ask(seed=7)
    assert ask(seed=7) == one, "the same seed, another answer"
    assert any(ask(seed=seed) != one for seed in range(8, 16)), "a seed changes nothing"
    for tier in ("auto", "default", "flex"):
        assert ask(service_tier=tier, seed=7) == one, tier


def check_stream():
    whole = client.chat.completions.create(**ASKED)
    text, usage, finish = "", None, None
    for chunk in client.chat.completions.create(**ASKED, stream=True, stream_options={"include_usage": True}):
        assert chunk.object == "chat.completion.chunk" and chunk.model == MODEL
        if chunk.choices:
            assert usage is None, "a choice after the usage"
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        if chunk.usage is not None:
            assert not chunk.choices
            usage = chunk.usage
    assert text == whole.choices[0].message.content and finish == whole.choices[0].finish_reason
    assert (usage.prompt_tokens, usage.completion_tokens) == (whole.usage.prompt_tokens, whole.usage.completion_tokens)
    # The same prompt again.
    assert 0 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens, usage

    bare = list(client.chat.completions.create(**ASKED, stream=True))
    assert all(chunk.usage is None for chunk in bare)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in bare) == text

    # The client's own accumulation.
    with client.chat.completions.stream(**ASKED) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        assert "".join(deltas) == text == stream.get_final_completion().choices[0].message.content


def check_tools():
    asked = {**ASKED, "tools": [TOOL]}
    for choice in ("required", {"type": "function", "function": {"name": "weather"}}):
        answer = client.chat.completions.create(**asked, tool_choice=choice, parallel_tool_calls=False)
        calls = answer.choices[0].message.tool_calls
        assert answer.choices[0].finish_reason in ("tool_calls", "stop") and len(calls) == 1, answer
        assert calls[0].type == "function" and calls[0].id and calls[0].function.name == "weather"
        check_weather(json.loads(calls[0].function.arguments))

    with client.chat.completions.stream(**asked, tool_choice="required", parallel_tool_calls=False) as stream:
        streamed = stream.get_final_completion().choices[0].message.tool_calls
    assert [call.function.arguments for call in streamed] == [call.function.arguments for call in calls]

    result = {"role": "tool", "tool_call_id": calls[0].id, "content": "It rains."}
    said = answer.choices[0].message.model_dump(exclude_none=True)
    after = client.chat.completions.create(**{**asked, "messages": [*ASKED["messages"], said, result]})
    assert after.choices[0].message.role == "assistant"


def check_structured():
    parsed = client.chat.completions.parse(**ASKED, response_format=Verdict)
    assert isinstance(parsed.choices[0].message.parsed, Verdict), parsed
    # A tool that the client parses, too.
    tool = openai.pydantic_function_tool(Verdict)
    called = client.chat.completions.parse(**ASKED, tools=[tool], tool_choice="required", parallel_tool_calls=False)
    assert isinstance(called.choices[0].message.tool_calls[0].function.parsed_arguments, Verdict)
    answer = client.chat.completions.create(**ASKED, response_format={"type": "json_object"})
    if answer.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(answer.choices[0].message.content), dict)


def check_embeddings():
    # The client asks for base64 by itself and decodes it.
    made = client.embeddings.create(model=EMBEDDER, input=TEXTS)
    vectors = [item.embedding for item in made.data]
    assert [item.index for item in made.data] == [0, 1, 2] and made.model == EMBEDDER
    assert made.usage.prompt_tokens > 0
    check_vectors(vectors)
    floats = client.embeddings.create(model=EMBEDDER, input=TEXTS[0], encoding_format="float").data[0].embedding
    assert all(abs(a - b) < 1e-6 for a, b in zip(floats, vectors[0]))
    raw = client.embeddings.with_raw_response.create(model=EMBEDDER, input=TEXTS[0], encoding_format="base64")
    packed = base64.b64decode(raw.http_response.json()["data"][0]["embedding"])
    assert len(packed) == 4 * len(floats) and abs(struct.unpack("<f", packed[:4])[0] - floats[0]) < 1e-6
    assert len(client.embeddings.create(model=EMBEDDER, input="a lamp", dimensions=64).data[0].embedding) == 64


def check_completions():
    asked = {"model": MODEL, "prompt": "The refund window is", "temperature": 0, "max_tokens": 16}
    whole = client.completions.create(**asked)
    assert whole.object == "text_completion" and whole.choices[0].text and whole.usage.completion_tokens > 0
    pieces = list(client.completions.create(**asked, stream=True))
    assert "".join(chunk.choices[0].text for chunk in pieces if chunk.choices) == whole.choices[0].text


def check_responses():
    asked = {"model": MODEL, "input": QUESTION, "temperature": 0, "max_output_tokens": 128, "store": False}
    whole = client.responses.create(**asked)
    assert whole.object == "response" and whole.output_text, whole
    assert whole.usage.total_tokens == whole.usage.input_tokens + whole.usage.output_tokens
    with client.responses.stream(**asked) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        assert "".join(deltas) == whole.output_text == stream.get_final_response().output_text
    parsed = client.responses.parse(**asked, text_format=Verdict)
    assert isinstance(parsed.output_parsed, Verdict), parsed
    tool = {"type": "function", "name": "weather", "parameters": WEATHER, "strict": True}
    called = client.responses.create(**asked, tools=[tool], tool_choice="required", parallel_tool_calls=False)
    calls = [item for item in called.output if item.type == "function_call"]
    assert len(calls) == 1 and calls[0].name == "weather" and calls[0].call_id, called
    check_weather(json.loads(calls[0].arguments))
    conversation = [
        {"role": "user", "content": QUESTION},
        {"type": "function_call", "call_id": calls[0].call_id, "name": "weather", "arguments": calls[0].arguments},
        {"type": "function_call_output", "call_id": calls[0].call_id, "output": "It rains."},
    ]
    assert client.responses.create(**{**asked, "input": conversation}).output_text
    error = expect(openai.NotFoundError, lambda: client.responses.create(**{**asked, "model": "gpt-4o"}))
    assert error.code == "model_not_found"
    check_kept_responses({"model": MODEL, "temperature": 0, "max_output_tokens": 128}, tool)


def check_kept_responses(asked, tool):
    first = client.responses.create(**asked, input=QUESTION, metadata={"case": "1"})
    assert client.responses.retrieve(first.id).to_dict() == first.to_dict(), "it is not read as it was answered"
    items = list(client.responses.input_items.list(first.id, order="asc"))
    assert [(item.role, item.content[0].text) for item in items] == [("user", QUESTION)]
    # By the id, and with all items sent again, as the client has them.
    required = {"tools": [tool], "tool_choice": "required", "parallel_tool_calls": False}
    called = client.responses.create(**asked, input="And the weather?", previous_response_id=first.id, **required)
    result = {"type": "function_call_output", "call_id": called.output[-1].call_id, "output": "It rains."}
    by_id = client.responses.create(**asked, input=[result], previous_response_id=called.id)
    history = [{"role": "user", "content": QUESTION}, *first.output]
    history += [{"role": "user", "content": "And the weather?"}, *called.output, result]
    sent_again = client.responses.create(**asked, input=history, store=False)
    assert (by_id.output_text, by_id.usage.input_tokens) == (sent_again.output_text, sent_again.usage.input_tokens)
    client.responses.delete(first.id)
    refused(openai.NotFoundError, 404, "not_found", lambda: client.responses.retrieve(first.id))
    gone = lambda: client.responses.create(**asked, input="And?", previous_response_id=first.id)
    assert refused(openai.BadRequestError, 400, "previous_response_not_found", gone).param == "previous_response_id"
    hosted = lambda: client.responses.create(**asked, input=QUESTION, tools=[{"type": "web_search"}])
    assert refused(openai.BadRequestError, 400, None, hosted).param == "tools[0].type"


def check_files():
    content = "Öfen\n".encode() * 50_000
    kept = client.files.create(file=("Öfen.txt", content), purpose="user_data")
    assert (kept.object, kept.bytes, kept.filename, kept.status) == ("file", len(content), "Öfen.txt", "processed"), kept
    assert client.files.retrieve(kept.id) == kept and client.files.wait_for_processing(kept.id) == kept
    assert client.files.content(kept.id).read() == content
    hour = {"anchor": "created_at", "seconds": 3600}
    more = [client.files.create(file=(f"{n}.txt", b"text"), purpose="assistants", expires_after=hour) for n in range(3)]
    assert abs(more[0].expires_at - more[0].created_at - 3600) <= 1, more[0]
    # The client asks for each page by itself.
    assert [file.id for file in client.files.list(purpose="assistants", limit=2)] == [file.id for file in reversed(more)]
    assert [file.id for file in client.files.list(order="asc")][-3:] == [file.id for file in more]
    # The model reads the text of a file.
    question = {"type": "input_text", "text": "What does the file say?"}
    tokens = []
    for parts in ([], [{"type": "input_file", "file_id": more[0].id}]):
        asked = client.responses.create(model=MODEL, input=[{"role": "user", "content": [*parts, question]}], store=False, max_output_tokens=4)
        tokens.append(asked.usage.input_tokens)
    assert tokens[0] < tokens[1], tokens
    content = [{"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain;base64,QSBwdW1wLg=="}}, {"type": "text", "text": "What is it?"}]
    client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": content}], max_tokens=4)
    for file in [kept, *more]:
        assert client.files.delete(file.id).deleted
    refused(openai.NotFoundError, 404, "not_found", lambda: client.files.retrieve(kept.id))
    refused(openai.NotFoundError, 404, "not_found", lambda: client.files.content(kept.id))
    fun = lambda: client.files.create(file=("a.txt", b"text"), purpose="fun")
    assert refused(openai.BadRequestError, 400, None, fun).param == "purpose"


def check_uploads():
    content = "Öfen\n".encode() * 50_000
    about = {"filename": "Öfen.txt", "purpose": "user_data", "bytes": len(content), "mime_type": "text/plain"}
    upload = client.uploads.create(**about)
    assert (upload.object, upload.status, upload.bytes, upload.file) == ("upload", "pending", len(content), None), upload
    cut = len(content) // 3
    rest = client.uploads.parts.create(upload.id, data=content[cut:])
    first = client.uploads.parts.create(upload.id, data=content[:cut])
    assert (first.object, first.upload_id) == ("upload.part", upload.id), first
    wrong = lambda: client.uploads.complete(upload.id, part_ids=[rest.id, first.id], md5=md5(content))
    assert refused(openai.BadRequestError, 400, None, wrong).param == "md5"
    done = client.uploads.complete(upload.id, part_ids=[first.id, rest.id], md5=md5(content))
    assert (done.status, done.file.filename, done.file.bytes) == ("completed", "Öfen.txt", len(content)), done
    assert client.files.content(done.file.id).read() == content
    refused(openai.BadRequestError, 400, None, lambda: client.uploads.cancel(upload.id))
    # The client cuts the file by itself.
    chunked = client.uploads.upload_file_chunked(file=content, **about, part_size=100_000, md5=md5(content))
    assert client.files.content(chunked.file.id).read() == content
    for file in (done.file, chunked.file):
        assert client.files.delete(file.id).deleted
    canceled = client.uploads.cancel(client.uploads.create(**about).id)
    assert (canceled.status, canceled.file) == ("cancelled", None), canceled


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def check_vector_stores():
    store = client.vector_stores.create(name="manuals", metadata={"team": "tools"}, expires_after={"anchor": "last_active_at", "days": 7})
    assert (store.object, store.name, store.status, store.file_counts.total) == ("vector_store", "manuals", "completed", 0), store
    assert store.expires_at - store.last_active_at == 7 * 86_400, store
    text = "# Warranty\n\nThe Kestrel drill has a warranty of 37 months.\n".encode()
    file = client.vector_stores.files.upload_and_poll(
        vector_store_id=store.id, file=("warranty.md", text), attributes={"year": 2026, "public": True},
        chunking_strategy={"type": "static", "static": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 50}},
    )
    assert (file.status, file.last_error, file.attributes) == ("completed", None, {"year": 2026, "public": True}), file
    assert file.chunking_strategy.static.max_chunk_size_tokens == 200, file
    batch = client.vector_stores.file_batches.upload_and_poll(
        vector_store_id=store.id, files=[("delivery.txt", b"A delivery takes nine days."), ("bad.bin", bytes(range(256)))]
    )
    assert (batch.status, batch.file_counts.completed, batch.file_counts.failed) == ("completed", 1, 1), batch
    failed = [file for file in client.vector_stores.file_batches.list_files(batch.id, vector_store_id=store.id) if file.status == "failed"]
    assert len(failed) == 1 and failed[0].last_error.code in ("unsupported_file", "invalid_file"), failed
    # The client asks for each page by itself.
    pages = client.vector_stores.files.list(store.id, limit=1, order="asc")
    assert [one.id for one in pages][0] == file.id and len(list(client.vector_stores.files.list(store.id, filter="completed"))) == 2
    year = {"type": "and", "filters": [{"type": "gte", "key": "year", "value": 2026}, {"type": "eq", "key": "public", "value": True}]}
    found = client.vector_stores.search(store.id, query="How long is the warranty?", filters=year, max_num_results=3)
    worded = client.vector_stores.search(store.id, query="How long is the warranty?", rewrite_query=True)
    assert isinstance(worded.data, list), worded
    assert found.data[0].file_id == file.id and "37 months" in found.data[0].content[0].text, found
    assert 0 < found.data[0].score <= 1 and found.data[0].attributes["year"] == 2026, found
    content = client.vector_stores.files.content(file.id, vector_store_id=store.id)
    assert "37 months" in next(iter(content)).text
    changed = client.vector_stores.files.update(file.id, vector_store_id=store.id, attributes={"year": 2027})
    assert changed.attributes == {"year": 2027}
    tool = {"type": "file_search", "vector_store_ids": [store.id], "max_num_results": 2}
    asked = client.responses.create(
        model=MODEL, input="How long is the warranty of the Kestrel drill?", tools=[tool], include=["file_search_call.results"], store=False
    )
    search = asked.output[0]
    assert (search.type, search.status) == ("file_search_call", "completed") and search.results[0].file_id == file.id, asked
    for annotation in asked.output[-1].content[0].annotations:
        assert annotation.type == "file_citation" and annotation.filename, annotation
    updated = client.vector_stores.update(store.id, name="old manuals")
    assert (updated.name, updated.metadata) == ("old manuals", {"team": "tools"})
    assert store.id in [one.id for one in client.vector_stores.list(limit=1)]
    assert client.vector_stores.files.delete(file.id, vector_store_id=store.id).deleted
    assert client.files.retrieve(file.id).id == file.id
    assert client.vector_stores.delete(store.id).deleted
    refused(openai.NotFoundError, 404, "not_found", lambda: client.vector_stores.retrieve(store.id))


def refused(kind, status, code, call):
    error = expect(kind, call)
    assert (error.status_code, error.code) == (status, code) and error.message, error
    return error


def check_errors():
    chat = client.chat.completions.create
    error = refused(openai.NotFoundError, 404, "model_not_found", lambda: chat(**{**HELLO, "model": "gpt-4o"}))
    assert error.param == "model"
    refused(openai.NotFoundError, 404, "model_not_found", lambda: chat(**{**HELLO, "model": f"{MODEL}:nobody"}))
    refused(openai.NotFoundError, 404, "model_not_found", lambda: client.models.retrieve("gpt-4o"))
    refused(openai.NotFoundError, 404, "model_not_found", lambda: client.embeddings.create(model="?", input="a"))
    refused(openai.AuthenticationError, 401, "invalid_api_key", connect(WRONG_KEY).models.list)
    for member, value in (("temperature", 3), ("service_tier", "priority"), ("reasoning_effort", "low")):
        error = refused(openai.BadRequestError, 400, None, lambda: chat(**HELLO, **{member: value}))
        assert error.param == member
    refused(openai.BadRequestError, 400, None, lambda: chat(**{**HELLO, "messages": []}))
    long = [{"role": "user", "content": "lamp " * 20000}]
    code = "context_length_exceeded"
    refused(openai.BadRequestError, 400, code, lambda: chat(**{**HELLO, "messages": long}, stream=True))
    made = client.post("/keys", body={"name": "reader", "role": "read-only"}, cast_to=object)
    reader = connect(made["key"])
    assert list(reader.models.list())
    ask = lambda: reader.chat.completions.create(**HELLO)
    refused(openai.PermissionDeniedError, 403, "insufficient_permissions", ask)
    client.delete(f"/keys/{made['id']}", cast_to=object)


def check_retries():
    sent = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    # A budget that is spent is no matter of waiting: the client asks once.
    spent = connect(SPENT_KEY, max_retries=2, http_client=http)
    for stream in (False, True):
        sent.clear()
        ask = lambda: spent.chat.completions.create(**HELLO, stream=stream)
        assert refused(openai.RateLimitError, 429, "insufficient_quota", ask).type == "insufficient_quota"
        assert len(sent) == 1, f"{len(sent)} requests for a budget that is spent"

    # Requests that come too fast are told when to come again; the client waits as long, by itself.
    hasty = connect(LIMITED_KEY)
    patient = hasty.with_options(max_retries=2)
    first = hasty.chat.completions.with_raw_response.create(**HELLO)
    assert first.headers["x-ratelimit-limit-requests"] == "20"
    # Until a retry was seen: a request may come just when there is room again.
    for _ in range(10):
        error = until_refused(openai.RateLimitError, lambda: hasty.chat.completions.create(**HELLO))
        assert error.code == "rate_limit_exceeded" and 1 <= int(error.response.headers["retry-after"]) <= 4, error
        raw = patient.chat.completions.with_raw_response.create(**HELLO)
        assert raw.parse().usage.completion_tokens > 0
        if raw.retries_taken:
            return
    raise AssertionError("the client never had to wait")


version("openai")
text = "The refund window of the Heron shop is 23 days. Refunds are paid to the original card."
client.post("/documents", body={"title": "Heron", "text": text}, cast_to=object)
check_features({
    "models": check_models,
    "chat": check_chat,
    "stream": check_stream,
    "tools": check_tools,
    "structured": check_structured,
    "embeddings": check_embeddings,
    "completions": check_completions,
    "responses": check_responses,
    "files": check_files,
    "uploads": check_uploads,
    "stores": check_vector_stores,
    "errors": check_errors,
    "retries": check_retries,
})
finish()
