"""A host in memory for tests. Each interface is as the contract has it, so that what stands before it in the SDK is tested, too."""

import json
import math
import random
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from .._wire import message_from_host
from ..types import Message
from .. import _contracts
from ._fake_documents import FakeDocuments, words_of
from ._fake_kv import FakeKv
from ._fake_store import FakeStore
from ._refusals import answered, invalid, not_granted

DIMENSIONS = 64


@dataclass
class HttpRequest:
    method: str
    url: str
    headers: dict[str, str]
    """By names in lower case."""
    body: bytes


@dataclass
class HttpAnswer:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = b""
    """What is no str and no bytes becomes JSON."""


def fake_host(
    *,
    documents: Sequence[dict[str, Any]] = (),
    kv: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    sql: Sequence[str] = (),
    generate: Callable[[list[Message], dict[str, Any]], Any] | None = None,
    http: Mapping[str, Callable[[HttpRequest], HttpAnswer]] | None = None,
    now_ms: int = 1_767_225_600_000,
    seed: int = 1,
) -> "FakeHost":
    """Makes a host and lets the capabilities of this process call it, until the next one is made.

    `documents` have `id`, `text`, and perhaps `title` and `metadata`; a chunk is a paragraph. `kv` has bytes, texts, or values that are
    stored as JSON. `sql`: statements that fill the store. `generate(messages, options)` is what the model answers: a text, or a value
    that becomes JSON. `http` has the granted hosts, each with what it answers. Both may raise a `RiadError`. `now_ms` is the start of
    2026 if not given. Random bytes follow from `seed`, and are the same in each run.
    """
    host = FakeHost(list(documents), kv or {}, settings or {}, sql, generate, http or {}, now_ms, seed)
    _contracts.set_current(host)
    return host


class FakeHost:
    """Made by `fake_host`."""

    def __init__(
        self,
        documents: list[dict[str, Any]],
        kv: Mapping[str, Any],
        settings: Mapping[str, Any],
        sql: Sequence[str],
        generate: Callable[[list[Message], dict[str, Any]], Any] | None,
        http: Mapping[str, Callable[[HttpRequest], HttpAnswer]],
        now_ms: int,
        seed: int,
    ) -> None:
        self.now_ms = now_ms
        """A test moves it on."""
        self.logs: list[tuple[str, str]] = []
        """What was logged: level and message."""
        self.generations: list[tuple[list[Message], dict[str, Any]]] = []
        self.requests: list[HttpRequest] = []
        self._generate = generate
        self._hosts = http
        generator = random.Random(seed)

        self.clock = SimpleNamespace(now=self._now)
        self.documents = FakeDocuments(documents)
        self.embeddings = SimpleNamespace(embed=lambda texts: [_vector(text) for text in texts])
        self.generation = SimpleNamespace(generate=self._generated)
        self.http = SimpleNamespace(send=self._send)
        self.kv = FakeKv(kv, self._now)
        self.logging = SimpleNamespace(log=lambda level, message: self.logs.append((level.name.lower(), message)))
        self.model = SimpleNamespace(count_tokens=_count_tokens)
        self.random = SimpleNamespace(bytes=lambda count: _random_bytes(generator, count))
        self.settings = SimpleNamespace(get=lambda key: json.dumps(settings[key]) if key in settings else None)
        self.store = FakeStore(sql)

    def _now(self) -> int:
        return self.now_ms // 100 * 100

    def _generated(self, messages: list[Any], options: Any) -> Any:
        generate = self._generate
        if generate is None:
            raise RuntimeError("the plugin generates: give fake_host `generate=lambda messages, options: …`")
        if options.max_tokens < 1:
            raise invalid("`max-tokens` must be at least 1")
        if not 0 <= options.temperature <= 2:
            raise invalid("the temperature must be 0 to 2")
        if len(options.stop) > 4:
            raise invalid("there are at most 4 stop texts")
        asked = [message_from_host(message) for message in messages]
        given = {**vars(options), "schema": None if options.schema is None else json.loads(options.schema)}
        self.generations.append((asked, given))
        answer = answered(lambda: generate(asked, given), _contracts.riad_types_types, "Error")
        text = answer if isinstance(answer, str) else json.dumps(answer)
        words = re.findall(r"\s*\S+", text)
        return _contracts.generation.Generated(
            text="".join(words[: options.max_tokens]),
            prompt_tokens=sum(_count_tokens(message.content) for message in asked),
            completion_tokens=min(len(words), options.max_tokens),
            is_cut=len(words) > options.max_tokens,
        )

    def _send(self, request: Any) -> Any:
        url = urlsplit(request.url)
        if not url.scheme or not url.hostname:
            raise _invalid_url(request.url)
        if url.scheme != "https" or url.netloc not in self._hosts:
            raise not_granted(f"{url.scheme}://{url.netloc} is not granted")
        headers = {header.name.lower(): header.value for header in request.headers}
        sent = HttpRequest(request.method.name, request.url, headers, request.body)
        self.requests.append(sent)
        answer = answered(lambda: self._hosts[url.netloc](sent), _contracts.http, "HttpError")
        body = answer.body if isinstance(answer.body, (str, bytes)) else json.dumps(answer.body)
        return _contracts.http.Response(
            answer.status,
            [_contracts.http.Header(name, value) for name, value in answer.headers.items()],
            body.encode() if isinstance(body, str) else body,
        )


def _invalid_url(url: str) -> Exception:
    return _contracts.Err(_contracts.http.HttpError_InvalidArgument(f"{url} is no URL"))


def _count_tokens(text: str) -> int:
    """A token per four characters, at least one per word: close to what models for English have."""
    return sum(math.ceil(len(word) / 4) for word in text.split())


def _vector(text: str) -> list[float]:
    """Words, each at a place of its own: texts with common words are near each other."""
    values = [0.0] * DIMENSIONS
    for word in words_of(text):
        values[zlib.crc32(word.encode()) % DIMENSIONS] += 1
    length = math.hypot(*values)
    return [value / length for value in values] if length else values


def _random_bytes(generator: random.Random, count: int) -> bytes:
    if not 1 <= count <= 4096:
        raise invalid("there are 1 to 4,096 bytes in a call")
    return generator.randbytes(count)
