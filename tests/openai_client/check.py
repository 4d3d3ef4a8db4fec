"""OpenAI's own Python client against a Riad server, with nothing changed but `base_url` and the key.

    python3 -m venv /tmp/openai && /tmp/openai/bin/pip install -r tests/openai_client/requirements.txt
    /tmp/openai/bin/python tests/openai_client/check.py http://127.0.0.1:8080 KEY [OPERATOR_KEY]

Or with OPENAI_BASE_URL, OPENAI_API_KEY and RIAD_OPERATOR_KEY. Prints what it saw; ends with an error at the first thing that
is not so. Adds a document and a key to the key's room and takes them out again. KEY must be an admin's. With the operator's
key it also makes a tenant for what limits do to the client, and deletes it.
"""

import base64
import contextlib
import os
import struct
import sys
import uuid

import openai

QUESTION = "What is the refund window of the Heron shop?"


def expect_error(kind, status, code, call):
    """The call fails, and the client reads what the server says."""
    try:
        call()
    except kind as error:
        assert error.status_code == status, error
        assert error.code == code, error
        assert error.message, error
        print(f"  {kind.__name__}: {error.status_code} {error.code} param={error.param}: {error.body['message']}")
        return error
    raise AssertionError(f"expected {kind.__name__}")


def check_models(client):
    models = [model.id for model in client.models.list()]
    print("models:", models)
    assert models, "no model"
    base = next(model for model in models if ":" not in model)
    model = client.models.retrieve(base)
    assert model.id == base and model.object == "model" and model.created > 0 and model.owned_by
    return base


def check_chat(client, model):
    asked = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0, "max_tokens": 64}
    whole = client.chat.completions.create(**asked)
    choice = whole.choices[0]
    print("chat:", repr(choice.message.content), choice.finish_reason, whole.usage)
    assert whole.object == "chat.completion" and whole.id.startswith("chatcmpl-") and whole.model == model
    assert choice.index == 0 and choice.message.role == "assistant" and choice.message.content
    assert choice.finish_reason in ("stop", "length")
    assert whole.usage.prompt_tokens > 0 and whole.usage.completion_tokens > 0
    assert whole.usage.total_tokens == whole.usage.prompt_tokens + whole.usage.completion_tokens
    # What OpenAI's format has no place for; the client hands it on.
    receipt = whole.riad["receipt"]
    assert receipt["prompt_tokens"] == whole.usage.prompt_tokens
    assert any("Heron" in passage["text"] for passage in whole.riad["passages"]), whole.riad

    text, usage, chunks, finish = "", None, 0, None
    for chunk in client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}):
        chunks += 1
        assert chunk.object == "chat.completion.chunk" and chunk.model == model
        if chunk.choices:
            assert usage is None, "a choice after the usage"
            text += chunk.choices[0].delta.content or ""
            finish = chunk.choices[0].finish_reason or finish
        if chunk.usage is not None:
            assert not chunk.choices
            usage = chunk.usage
    print(f"streamed chat: {chunks} chunks, {finish}, {usage}")
    assert text == choice.message.content, text
    assert finish == choice.finish_reason
    assert (usage.prompt_tokens, usage.completion_tokens) == (whole.usage.prompt_tokens, whole.usage.completion_tokens)
    # The same prompt again.
    assert 0 < usage.prompt_tokens_details.cached_tokens < usage.prompt_tokens, usage

    bare = list(client.chat.completions.create(**asked, stream=True))
    assert all(chunk.usage is None for chunk in bare)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in bare) == text

    several = client.chat.completions.create(**asked, n=2, stop=["days"], seed=1, user="somebody")
    assert [choice.index for choice in several.choices] == [0, 1]
    assert all("days" not in choice.message.content for choice in several.choices)


def check_embeddings(client):
    # No endpoint lists the embedding model; the error about another name says it.
    error = expect_error(
        openai.NotFoundError, 404, "model_not_found", lambda: client.embeddings.create(model="?", input="a")
    )
    model = error.body["message"].split('"')[-2]
    texts = ["a lamp", "a light", "the tax law of 1972"]
    # The client asks for base64 by itself and decodes it.
    made = client.embeddings.create(model=model, input=texts)
    vectors = [item.embedding for item in made.data]
    print(f"embeddings: {model}, {len(vectors)} vectors of {len(vectors[0])}, {made.usage}")
    assert [item.index for item in made.data] == [0, 1, 2] and made.model == model
    assert made.usage.prompt_tokens > 0
    for vector in vectors:
        assert abs(sum(x * x for x in vector) - 1) < 1e-3
    dot = lambda a, b: sum(x * y for x, y in zip(a, b))
    assert dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2])
    floats = client.embeddings.create(model=model, input=texts[0], encoding_format="float").data[0].embedding
    assert all(abs(a - b) < 1e-6 for a, b in zip(floats, vectors[0]))
    raw = client.embeddings.with_raw_response.create(model=model, input=texts[0], encoding_format="base64")
    packed = base64.b64decode(raw.http_response.json()["data"][0]["embedding"])
    assert len(packed) == 4 * len(floats) and abs(struct.unpack("<f", packed[:4])[0] - floats[0]) < 1e-6


def check_errors(client, base_url, model):
    print("errors:")
    chat = client.chat.completions.create
    hello = [{"role": "user", "content": "Hello"}]
    error = expect_error(openai.NotFoundError, 404, "model_not_found", lambda: chat(model="gpt-4o", messages=hello))
    assert error.param == "model"
    expect_error(openai.NotFoundError, 404, "model_not_found", lambda: chat(model=f"{model}:nobody", messages=hello))
    expect_error(openai.NotFoundError, 404, "model_not_found", lambda: client.models.retrieve("gpt-4o"))
    stranger = openai.OpenAI(base_url=base_url, api_key="riad_sk_wrong", max_retries=0)
    expect_error(openai.AuthenticationError, 401, "invalid_api_key", lambda: stranger.models.list())
    error = expect_error(
        openai.BadRequestError, 400, None, lambda: chat(model=model, messages=hello, temperature=3)
    )
    assert error.param == "temperature"
    expect_error(openai.BadRequestError, 400, None, lambda: chat(model=model, messages=[]))
    long = [{"role": "user", "content": "lamp " * 20000}]
    expect_error(
        openai.BadRequestError, 400, "context_length_exceeded", lambda: chat(model=model, messages=long, stream=True)
    )


def check_sampling(client, model):
    asked = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "temperature": 2, "max_tokens": 24}
    ask = lambda **more: client.chat.completions.create(**asked, **more).choices[0].message.content
    one = ask(seed=7)
    print("seed 7, warm:", repr(one))
    assert ask(seed=7) == one, "the same seed, another answer"
    assert any(ask(seed=seed) != one for seed in range(8, 16)), "a seed changes nothing"
    for tier in ("auto", "default", "flex"):
        assert ask(service_tier=tier, seed=7) == one, tier
    error = expect_error(openai.BadRequestError, 400, None, lambda: ask(service_tier="priority"))
    assert error.param == "service_tier"


def check_permissions(client, base_url, model):
    made = client.post("/keys", body={"name": "reader", "role": "read-only"}, cast_to=object)
    try:
        reader = openai.OpenAI(base_url=base_url, api_key=made["key"], max_retries=2)
        assert [model.id for model in reader.models.list()]
        ask = lambda: reader.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])
        expect_error(openai.PermissionDeniedError, 403, "insufficient_permissions", ask)
    finally:
        client.delete(f"/keys/{made['id']}", cast_to=object)


@contextlib.contextmanager
def tenant(root, operator_key):
    """A tenant for what limits do: its key, and a function that changes its policy."""
    operator = openai.OpenAI(base_url=f"{root}/operator/v1", api_key=operator_key, max_retries=0)
    name = f"openai-client-{uuid.uuid4().hex[:8]}"
    made = operator.post("/tenants", body={"id": name, "name": "The openai client's"}, cast_to=object)
    try:
        yield made["key"], lambda policy: operator.patch(f"/tenants/{name}", body=policy, cast_to=object)
    finally:
        operator.delete(f"/tenants/{name}", cast_to=object)


def check_limits(base_url, model, key, change):
    sent = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    patient = openai.OpenAI(base_url=base_url, api_key=key, max_retries=2, http_client=http)
    hasty = patient.with_options(max_retries=0)
    chat = {"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}

    # A budget that is spent is no matter of waiting: the client asks once.
    change({"budget": {"total_tokens": 1}})
    for stream in (False, True):
        sent.clear()
        ask = lambda: patient.chat.completions.create(**chat, stream=stream)
        error = expect_error(openai.RateLimitError, 429, "insufficient_quota", ask)
        assert error.type == "insufficient_quota", error.type
        assert len(sent) == 1, f"{len(sent)} requests for a budget that is spent"
    change({"budget": None})

    # Requests that come too fast are told when to come again; the client waits as long, by itself.
    per_minute = 20
    change({"limits": {"requests_per_minute": per_minute}})
    for left in range(per_minute, 0, -1):
        raw = hasty.chat.completions.with_raw_response.create(**chat)
        assert raw.headers["x-ratelimit-limit-requests"] == str(per_minute)
        # What comes back in the meantime is told too.
        assert left - 1 <= int(raw.headers["x-ratelimit-remaining-requests"]) < per_minute
        if int(raw.headers["x-ratelimit-remaining-requests"]) == 0:
            break
    refused = None
    while refused is None:
        try:
            hasty.chat.completions.create(**chat)
        except openai.RateLimitError as error:
            refused = error
    assert refused.code == "rate_limit_exceeded", refused
    after = int(refused.response.headers["retry-after"])
    assert 1 <= after <= 60 // per_minute + 1, after
    print(f"  RateLimitError: retry-after {after} s: {refused.body['message']}")
    # Until a retry was seen: a request may come just when there is room again.
    for _ in range(10):
        raw = patient.chat.completions.with_raw_response.create(**chat)
        assert raw.parse().usage.completion_tokens > 0
        if raw.retries_taken:
            break
    assert raw.retries_taken, "the client never had to wait"
    print(f"  served after {raw.retries_taken} retries of the client's own")


def main():
    if len(sys.argv) not in (1, 3, 4):
        sys.exit(__doc__)
    given = sys.argv[1:] or (os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"])
    url, key, operator_key = (*given, os.environ.get("RIAD_OPERATOR_KEY"))[:3]
    base_url = url.rstrip("/")
    if not base_url.endswith("/v1"):
        base_url += "/v1"
    client = openai.OpenAI(base_url=base_url, api_key=key, max_retries=0)
    model = check_models(client)
    text = "The refund window of the Heron shop is 23 days. Refunds are paid to the original card."
    added = client.post("/documents", body={"title": "Heron", "text": text}, cast_to=object)
    try:
        check_chat(client, model)
        check_sampling(client, model)
    finally:
        client.delete(f"/documents/{added['id']}", cast_to=object)
    check_embeddings(client)
    check_errors(client, base_url, model)
    check_permissions(client, base_url, model)
    if operator_key:
        print("limits:")
        with tenant(base_url.removesuffix("/v1"), operator_key) as (limited, change):
            check_limits(base_url, model, limited, change)
    else:
        print("limits: not checked without the operator's key")
    print(f"all well: openai {openai.__version__} against {base_url}")


if __name__ == "__main__":
    main()
