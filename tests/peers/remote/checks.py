"""What is asked of Riad before another server, beside Riad with the model in its own process, and of that server alone.

A check returns what it saw, or fails by an assertion. Its first line of documentation is its row in the report.
"""

import concurrent.futures
import json
import time

import openai

from servers import MODEL, Vllm

VOICE = f"{MODEL}:voice"
# A model server may compute in another order: the likeliest of two tokens that are this near may be the other one.
NEAR_LOGITS = 0.02
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
VERDICT = {
    "type": "object",
    "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}, "sure": {"type": "boolean"}},
    "required": ["mood", "sure"],
    "additionalProperties": False,
}


class Lacks(Exception):
    """The server cannot do it, and Riad says so."""


class Session:
    """A model server, Riad before it with two tenants, and the same two of Riad with the model in its own process."""

    def __init__(self, server, riad, pairs, reference):
        self.server, self.riad, self.reference = server, riad, reference
        (self.a, self.here_a), (self.b, self.here_b) = pairs
        self.has_tokens = isinstance(server, Vllm)

    def tenants(self, voice):
        """The tenant, here and there, whose adapter this is; the first for none."""
        return (self.b, self.here_b) if voice == "b" else (self.a, self.here_a)


def question(text, **more):
    return {"messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 48, "model": MODEL, **more}


def chat(tenant, body, **more):
    body = {**body, **more}
    known = {name: body.pop(name) for name in ("top_k", "min_p", "repetition_penalty") if name in body}
    return tenant.client.chat.completions.create(**body, extra_body=known)


def told(answer):
    """What must be equal of two answers."""
    choice = answer.choices[0]
    calls = [(call.function.name, call.function.arguments) for call in choice.message.tool_calls or []]
    return choice.message.content, calls, choice.finish_reason, answer.usage.prompt_tokens, answer.usage.completion_tokens


def cases(s):
    for prompt in s.reference["prompts"]:
        for voice in ("base", "a", "b"):
            if voice == "base" or s.has_tokens:
                body = {"messages": prompt["messages"], "temperature": 0, "max_tokens": 48}
                yield voice, {**body, "model": MODEL if voice == "base" else VOICE}, prompt["answers"][voice]


def tokens_of(tenant, messages):
    return tenant.http.good("POST", "/v1/tokenize", {"model": MODEL, "messages": messages})["tokens"]


def direct(s, prompt, tenant=None, **more):
    """The model server's own answer to a prompt of tokens, with the tenant's adapter."""
    model = MODEL
    if tenant:
        digest = tenant.http.good("GET", "/v1/adapters")["data"][0]["generation"].removeprefix("sha256:")
        served = [one["id"] for one in s.direct.good("GET", "/v1/models")["data"]]
        model = next(name for name in served if name.endswith(digest))
    body = {"model": model, "prompt": prompt, "temperature": 0, "max_tokens": 48, **more}
    choice = s.direct.good("POST", "/v1/completions", body)["choices"][0]
    return choice["text"], choice["finish_reason"]


def compared(s, pairs):
    """Counts equal answers; each other one must be what the model server says by itself."""
    equal, by_itself, all_of_them = 0, [], 0
    for voice, body, _ in pairs:
        there, here = s.tenants(voice)
        far, near = told(chat(there, body)), told(chat(here, body))
        all_of_them += 1
        if far == near:
            equal += 1
            continue
        alone = direct(s, tokens_of(there, body["messages"]), there if voice != "base" else None)
        same = len(common(far[0], near[0]))
        assert alone == (far[0], far[2]), f"{voice} {body['messages'][-1]['content']!r}: Riad {far}, alone {alone}, here {near}"
        by_itself.append(f"{voice}: from character {same} on")
    note = f"{equal} of {all_of_them} equal to the answers of this process"
    if by_itself:
        note += "; the others are the server's own, asked directly (" + ", ".join(by_itself) + ")"
    return note


def common(one, other):
    length = next((at for at, pair in enumerate(zip(one, other)) if pair[0] != pair[1]), min(len(one), len(other)))
    return one[:length]


def greedy(s):
    """Greedy answers, without and with adapters"""
    right = sum(told(chat(s.tenants(voice)[0], body))[0] == answer["text"] for voice, body, answer in cases(s))
    return compared(s, list(cases(s))) + f"; {right} equal to those of transformers"


def at_once(s):
    """The same at once, tenants and adapters mixed"""
    work = list(cases(s))
    with concurrent.futures.ThreadPoolExecutor(len(work)) as pool:
        answers = list(pool.map(lambda case: told(chat(s.tenants(case[0])[0], case[1])), work))
    equal = 0
    for (voice, body, _), answer in zip(work, answers):
        alone = told(chat(s.tenants(voice)[0], body))
        equal += answer == alone
        style = {"a": "Dear friend", "b": "Ahoy"}.get(voice)
        if style:
            assert answer[0].startswith(style), f"{voice} says {answer[0]!r}"
        else:
            assert not answer[0].startswith(("Dear friend", "Ahoy")), f"the base says {answer[0]!r}"
    return f"{equal} of {len(work)} equal to the answer alone, all in their own tenant's style"


def streamed(s):
    """A stream is the whole answer, with its usage"""
    for voice, body, _ in cases(s):
        tenant = s.tenants(voice)[0]
        whole = told(chat(tenant, body))
        text, finish, usage = "", None, None
        pieces = 0
        for chunk in chat(tenant, body, stream=True, stream_options={"include_usage": True}):
            for choice in chunk.choices:
                text += choice.delta.content or ""
                pieces += bool(choice.delta.content)
                finish = choice.finish_reason or finish
            usage = chunk.usage or usage
        assert (text, finish, usage.prompt_tokens, usage.completion_tokens) == (whole[0], whole[2], *whole[3:])
        assert pieces > 1
    return "equal"


def stops(s):
    """Stop sequences, also across tokens, and which one it was"""
    body = question("What is the capital of France?")
    whole = chat(s.here_a, body).choices[0].message.content
    assert whole == "The capital of France is Paris.", whole
    for stop in ([" France"], ["l of Fra"], ["nothing", "Paris."], ["The"]):
        far, near = told(chat(s.a, body, stop=stop)), told(chat(s.here_a, body, stop=stop))
        assert far[:4] == near[:4], f"{stop}: {far}, here {near}"
        assert far[4] <= near[4] + (0 if s.has_tokens else 3), f"{stop}: {far[4]} tokens, here {near[4]}"
    asked = {"model": MODEL, "max_tokens": 48, "temperature": 0, "messages": body["messages"], "stop_sequences": [" France"]}
    met = [tenant.http.good("POST", "/v1/messages", asked) for tenant in (s.a, s.here_a)]
    far, near = [(one["stop_reason"], one["stop_sequence"], one["content"]) for one in met]
    assert far == near, f"{far}, here {near}"
    return "equal"


def length(s):
    """`max_tokens` ends an answer at that token"""
    for most in (1, 5):
        body = question("Are dogs real?", max_tokens=most)
        far, near = told(chat(s.a, body)), told(chat(s.here_a, body))
        assert far == near and far[2] == "length" and far[4] == most, f"{far}, here {near}"
    return "equal"


def letters(s):
    """Characters of several tokens arrive whole"""
    body = question("Repeat exactly: 🦉🦊 naïve Ω 日本語 🏳️‍🌈", max_tokens=40)
    return compared(s, [("base", body, None)])


def sampled(s):
    """A seed gives the same answer again, another seed another one"""
    ask = lambda seed: chat(s.a, question("Tell me about the sea.", temperature=1.5, seed=seed)).choices[0].message.content
    for seed in (7, -1, 2**62):
        assert ask(seed) == ask(seed), f"seed {seed}"
    assert len({ask(seed) for seed in range(8)}) > 4
    return "as it should be"


def neutral(s):
    """Sampling that is not asked for is off, whatever the server's own defaults are"""
    ask = lambda tenant, seed: chat(tenant, question("Say a word.", temperature=2, seed=seed, max_tokens=2)).choices[0].message.content
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        far, near = [set(pool.map(lambda seed: ask(tenant, seed), range(150))) for tenant in (s.a, s.here_a)]
    note = f"{len(far)} different beginnings in 150 answers at temperature 2, here {len(near)}"
    assert len(far) > 0.8 * len(near), note
    return note


def steered(s):
    """`logit_bias`, `top_k`, `top_p`, `min_p` and penalties change an answer as they do here"""
    base, differ = question("Write a list of words.", max_tokens=32), []
    the = s.a.http.good("POST", "/v1/tokenize", {"model": MODEL, "prompt": "The"})["tokens"][0]
    for more in (
        {"logit_bias": {str(the): 100}, "max_tokens": 4},
        {"temperature": 1, "top_k": 1},
        {"temperature": 1, "top_p": 0.001},
        {"temperature": 1, "min_p": 1.0},
        {"frequency_penalty": 1.5},
        {"presence_penalty": 1.5},
        {"repetition_penalty": 1.3},
    ):
        far, near = told(chat(s.a, base, **more)), told(chat(s.here_a, base, **more))
        if far != near:
            differ.append(f"{more}: {far[0][:90]!r}, here {near[0][:90]!r}")
    plain = told(chat(s.a, base))[0]
    assert told(chat(s.a, base, repetition_penalty=1.3))[0] != plain, "repetition_penalty changes nothing"
    assert not differ, "; ".join(differ)
    return "equal"


def scored(s):
    """`logprobs`, with the likeliest of each place"""
    body = question("What is the capital of France?", logprobs=True, top_logprobs=5)
    if not s.has_tokens:
        refused(s.a, body, 400, "logprobs")
        raise Lacks("refused with 400: the server sends texts without their tokens")
    far, near = [chat(tenant, body).choices[0].logprobs.content for tenant in (s.a, s.here_a)]
    assert [token.token for token in far] == [token.token for token in near]
    greatest = 0.0
    for one, other in zip(far, near):
        greatest = max(greatest, abs(one.logprob - other.logprob))
        there = {top.token: top.logprob for top in one.top_logprobs}
        assert len(there) == 5
        for top in other.top_logprobs:
            if top.token in there:
                greatest = max(greatest, abs(there[top.token] - top.logprob))
    assert greatest < NEAR_LOGITS, f"off by {greatest}"
    # Penalties, bias and temperature do not change them.
    biased = chat(s.a, body, temperature=0.5, seed=1, max_tokens=1, logit_bias={"9690": 5}).choices[0].logprobs.content[0]
    assert abs(biased.top_logprobs[0].logprob - far[0].top_logprobs[0].logprob) < NEAR_LOGITS, "a bias changes logprobs"
    return f"the same tokens, off by at most {greatest:.4f}"


def refused(tenant, body, status, word):
    try:
        answer = chat(tenant, body)
    except openai.APIStatusError as error:
        assert error.status_code == status and word in error.message, f"{error.status_code} {error.message}"
        return error.message
    raise AssertionError(f"not refused: {told(answer)}")


def tools(s):
    """Tools: what the model writes is read as here; a call that must be made is refused"""
    body = question("What is the weather in Bern? Use the tool.", tools=[TOOL])
    far, near = told(chat(s.a, body)), told(chat(s.here_a, body))
    assert far == near, f"{far}, here {near}"
    # The model of these checks calls none by itself: it is told what a call looks like.
    example = '<tool_call>\n{"name": "weather", "arguments": {"city": "Bern"}}\n</tool_call>'
    body = question(f"Write exactly this and nothing else:\n{example}", tools=[TOOL])
    far, near = told(chat(s.a, body)), told(chat(s.here_a, body))
    assert far == near, f"{far}, here {near}"
    message = refused(s.a, {**body, "tool_choice": "required"}, 400, "tool_choice")
    return f"equal, with {len(far[1])} calls; required: 400 {message!r}"


def formats(s):
    """`response_format`: the answer is of the schema"""
    schema = {"type": "json_schema", "json_schema": {"name": "verdict", "schema": VERDICT, "strict": True}}
    for format in (schema, {"type": "json_object"}):
        body = question("Is the weather good? Answer in JSON.", response_format=format, max_tokens=200)
        answer = chat(s.a, body).choices[0]
        if answer.finish_reason == "stop":
            value = json.loads(answer.message.content)
            assert isinstance(value, dict)
            if format is schema:
                assert set(value) == {"mood", "sure"}, value
        else:
            assert format is not schema, answer
    return "as it should be"


def canceled(s):
    """A client that goes away stops the server, and pays what was made"""
    body = question("Write a very long story about the sea, with many chapters.", max_tokens=1500, logit_bias={"2": -100})
    stream = chat(s.a, body, stream=True)
    for number, _ in enumerate(stream):
        if number == 5:
            break
    assert s.server.gauge(s.server.running) >= 1
    gone = time.monotonic()
    stream.close()
    while s.server.gauge(s.server.running) > 0:
        assert time.monotonic() - gone < 10, "the server goes on"
        time.sleep(0.02)
    took = time.monotonic() - gone
    time.sleep(0.5)
    entry = s.riad.entries(s.a.name)[-1]
    assert entry["outcome"] != "completed" and 4 <= entry["completion_tokens"] < 200, entry
    return f"stopped after {took * 1000:.0f} ms; {entry['completion_tokens']} tokens billed as `{entry['outcome']}`"


def counted(s):
    """Usage, ledger and the server's own counters agree"""
    names = [name for name in (s.server.prompt_tokens, s.server.completion_tokens) if name]
    before = [s.server.gauge(name) for name in names]
    known = len(s.riad.entries(s.a.name)), len(s.riad.entries(s.b.name))
    used = [0, 0]
    for voice, body, _ in cases(s):
        usage = chat(s.tenants(voice)[0], body).usage
        used = [used[0] + usage.prompt_tokens, used[1] + usage.completion_tokens]
    time.sleep(1)
    entries = s.riad.entries(s.a.name)[known[0] :] + s.riad.entries(s.b.name)[known[1] :]
    billed = [sum(entry[name] for entry in entries) for name in ("prompt_tokens", "completion_tokens")]
    assert billed == used, f"billed {billed}, answered {used}"
    after = [s.server.gauge(name) for name in names]
    made = [new - old for new, old in zip(after, before)]
    # llama.cpp counts no prompt that it has in its cache, so that only its completions are compared.
    assert made == used[-len(names) :], f"the server counted {made}, Riad {used}"
    return f"{used[0]} and {used[1]} tokens" + ("" if len(names) == 2 else ", of which the server counts the latter")


def cached(s):
    """A prompt's cache is the account's own"""
    text = "Remember these numbers: " + " ".join(str(number * 37 % 1009) for number in range(150))
    ask = lambda tenant: chat(tenant, question(text, max_tokens=1)).usage.prompt_tokens_details.cached_tokens
    first, other, again = ask(s.a), ask(s.b), ask(s.a)
    assert first == other == 0, f"another account's prompt was found: {first}, {other}"
    return f"another account's same prompt: {other} cached tokens; the same account's: {again}"


def unfit(s):
    """A prompt that is too long for the server only, and a foreign adapter, are refused with reasons"""
    status, answer = s.a.http.ask("POST", "/v1/chat/completions", question("word " * 3000, max_tokens=4))
    assert status in (400, 413, 422), f"a long prompt: {status} {answer}"
    return f"{status} {answer['error']['message']!r}"


def alien(s):
    """An adapter of another model is refused"""
    if not s.has_tokens:
        status, answer = s.a.put_adapter("voice", s.adapters / "adapter-a")
        assert status == 400, f"{status} {answer}"
        raise Lacks(f"no adapters: {status} {answer['error']['message']!r}")
    status, answer = s.a.put_adapter("alien", s.alien)
    if status < 300:
        status, said = s.a.http.ask("POST", "/v1/chat/completions", question("Hello", model=f"{MODEL}:alien"))
        s.a.http.ask("DELETE", "/v1/adapters/alien")
        assert 400 <= status < 600 and "adapter" in said["error"]["message"], f"{status} {said}"
        message = f"{status} {said['error']['message']!r}"
    else:
        message = f"at upload, {status} {answer['error']['message']!r}"
    assert told(chat(s.a, question("Are dogs real?")))[0], "the server answers nothing more"
    return message


def reloaded(s):
    """An adapter that the server has lost is loaded again"""
    if not s.has_tokens:
        raise Lacks("no adapters")
    before = told(chat(s.a, question("Are dogs real?", model=VOICE)))
    for one in s.direct.good("GET", "/v1/models")["data"]:
        if one["id"] != MODEL:
            s.direct.ask("POST", "/v1/unload_lora_adapter", {"lora_name": one["id"]})
    after = told(chat(s.a, question("Are dogs real?", model=VOICE)))
    assert after == before, f"{after}, before {before}"
    return "equal"


def evicted(s):
    """More adapters than the server may have take turns"""
    if not s.has_tokens:
        raise Lacks("no adapters")
    for name in ("second", "third"):
        status, answer = s.a.put_adapter(name, s.adapters / ("adapter-b" if name == "second" else "adapter-a"))
        assert status == 201, f"{status} {answer}"
    for _ in range(2):
        for name, style in (("voice", "Dear"), ("second", "Ahoy"), ("third", "Dear")):
            text = told(chat(s.a, question("Are dogs real?", model=f"{MODEL}:{name}")))[0]
            assert text.startswith(style), f"{name} says {text!r}"
    served = [one["id"] for one in s.direct.good("GET", "/v1/models")["data"]]
    for name in ("second", "third"):
        s.a.http.ask("DELETE", f"/v1/adapters/{name}")
    assert len(served) <= 1 + s.adapters_per_server, served
    return f"the server has {len(served) - 1} at the end"


def killed(s):
    """A server that dies: an error for who was reading, 503 for the next one, and what was made is billed"""
    body = question("Write a very long story about the sea.", max_tokens=1500, logit_bias={"2": -100})
    said = None
    pieces = 0
    try:
        for chunk in chat(s.a, body, stream=True):
            pieces += 1
            if pieces == 5:
                s.server.kill()
    except openai.APIError as error:
        said = error.message
    assert said, "the stream ended as if nothing had happened"
    try:
        chat(s.a, question("Are dogs real?"))
        raise AssertionError("a dead server answers")
    except openai.APIStatusError as error:
        assert error.status_code == 503 and error.response.headers.get("retry-after"), error
    time.sleep(0.5)
    entry = next(entry for entry in reversed(s.riad.entries(s.a.name)) if entry["completion_tokens"])
    return f"{said!r}; {entry['completion_tokens']} tokens billed as `{entry['outcome']}`; then 503"


# In this order: the last one ends the server.
ALL = [
    greedy, at_once, streamed, stops, length, letters, sampled, neutral, steered, scored, tools, formats, canceled, counted, cached,
    unfit, alien, reloaded, evicted, killed,
]  # fmt: skip
