"""What a request costs through Riad, beside the same request to the model server itself: both in turn, so that both meet the same machine."""

import json
import statistics
import time

from checks import MODEL, tokens_of
from servers import Connection

REQUESTS = 200
WARM_UP = 20
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


def whole(connection, path, body):
    begun = time.perf_counter()
    connection.good("POST", path, body)
    return time.perf_counter() - begun


def first_token(connection, path, body):
    """To the first event with text."""
    begun = time.perf_counter()
    answer = connection.send("POST", path, {**body, "stream": True})
    assert answer.status == 200, answer.read()
    took = None
    while line := answer.readline():
        if took is None and line.startswith(b"data: {"):
            choices = json.loads(line[6:])["choices"]
            if choices and (choices[0].get("text") or choices[0].get("delta", {}).get("content")):
                took = time.perf_counter() - begun
    assert took is not None
    return took


def measure(s, requests=REQUESTS):
    """Rows of a table: what was asked, p50 and p95 there and through Riad in milliseconds, ratio and difference of the p50."""
    riad, alone = Connection(s.riad.port, s.a.key), Connection(s.server.port)
    asked = {"model": MODEL, "max_tokens": 1, "temperature": 0}
    chat = {**asked, "messages": QUESTION}
    prompt = {**asked, "prompt": tokens_of(s.a, QUESTION)}
    chats, completions = "/v1/chat/completions", "/v1/completions"
    rows = []
    for label, ask, there, here in (
        ("chat, whole answer", whole, (chats, chat), (chats, chat)),
        ("completion of the same tokens, whole answer", whole, (completions, prompt), (completions, prompt)),
        ("chat, first token", first_token, (chats, {**chat, "max_tokens": 8}), (chats, {**chat, "max_tokens": 8})),
    ):
        times = [], []
        for number in range(WARM_UP + requests):
            # Who is first changes each time.
            for which in (0, 1) if number % 2 else (1, 0):
                took = ask(riad, *here) if which else ask(alone, *there)
                if number >= WARM_UP:
                    times[which].append(took * 1000)
        rows.append(row(label, *times))
    return rows


def row(label, alone, through):
    p50 = [statistics.median(times) for times in (alone, through)]
    p95 = [statistics.quantiles(times, n=20)[-1] for times in (alone, through)]
    paired = statistics.median(after - before for before, after in zip(alone, through))
    shown = [f"{there:.2f} / {late:.2f}" for there, late in zip(p50, p95)]
    return [label, *shown, f"{p50[1] / p50[0]:.3f}", f"{p50[1] - p50[0]:+.2f}", f"{paired:+.2f}"]
