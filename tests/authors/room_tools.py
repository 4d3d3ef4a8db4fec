"""A tool in Python (`plugins/order-desk`), called by the model in both ways, with OpenAI's client: the server runs it while the model
answers, and the client runs it in its own loop. RIAD_URL and RIAD_KEY are a server and the key of a tenant whose plugin has the tool."""

import json
import os

import openai

NAME = "look_up_order"
NAMED = {"type": "function", "function": {"name": NAME}}

client = openai.OpenAI(base_url=os.environ["RIAD_URL"] + "/v1", api_key=os.environ["RIAD_KEY"], max_retries=0)
MODEL = client.models.list().data[0].id
question = {"role": "user", "content": "What is the status of the order A-1001?"}


def ask(messages, **more):
    return client.chat.completions.create(model=MODEL, messages=messages, max_tokens=96, temperature=0, **more)


def logged():
    lines = client.get("/logs", cast_to=object)
    return json.dumps(lines).count(f"the model called the tool {NAME}")


# The server's loop: nothing of it in the request but the choice, and the answer is an answer.
before = logged()
answer = ask([question], tool_choice=NAMED, parallel_tool_calls=False)
assert answer.choices[0].finish_reason in ("stop", "length"), answer
assert not answer.choices[0].message.tool_calls, answer
assert logged() == before + 1, "the tool was not called"
streamed = ask([question], tool_choice=NAMED, parallel_tool_calls=False, stream=True)
pieces = [chunk.choices[0].delta for chunk in streamed if chunk.choices]
assert not any(piece.tool_calls for piece in pieces)
assert "".join(piece.content or "" for piece in pieces) == (answer.choices[0].message.content or "")
print("the server's loop: the model called the tool, and went on from what it answered")

# The client's loop: it offers the room's tools as its own, runs the calls, and sends what they gave.
tools = client.get("/tools", cast_to=object)["data"]
assert [tool["function"]["name"] for tool in tools] == [NAME], tools
messages = [question]
first = ask(messages, tools=tools, tool_choice=NAMED, parallel_tool_calls=False)
assert first.choices[0].finish_reason == "tool_calls", first
call = first.choices[0].message.tool_calls[0]
assert call.function.name == NAME
result = client.post(f"/tools/{NAME}", body={"arguments": call.function.arguments}, cast_to=object)
assert result["content"], result
messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": result["content"]}]
last = ask(messages, tools=tools, tool_choice="none")
assert last.choices[0].finish_reason in ("stop", "length") and last.choices[0].message.content is not None, last
print("the client's loop: the model called the tool, the client ran it, and the model answered")

# What the tool finds.
found = client.post(f"/tools/{NAME}", body={"arguments": {"number": "A-1001"}}, cast_to=object)
assert not found["is_error"] and "shipped" in found["content"], found
absent = client.post(f"/tools/{NAME}", body={"arguments": {"number": "B-1"}}, cast_to=object)
assert absent["is_error"] and "no order" in absent["content"], absent
print("the tool finds the order in the tenant's SQL store")
