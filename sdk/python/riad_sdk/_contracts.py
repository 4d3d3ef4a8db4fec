"""Stand-ins for the modules that `componentize-py` makes of the contracts: the same names, with functions that call the test's host."""

from dataclasses import make_dataclass
from enum import Enum
from typing import Any


class Err(Exception):
    """An error of the contracts' `result`."""

    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self.value = value


current: Any = None


def set_current(host: Any) -> None:
    global current
    current = host


class _Interface:
    """The types of an interface as attributes; any other attribute is a function of the host's."""

    def __init__(self, name: str, *types: Any) -> None:
        self._name = name
        for kind in types:
            setattr(self, kind.__name__, kind)

    def __getattr__(self, function: str) -> Any:
        def ask(*arguments: Any) -> Any:
            if current is None:
                raise RuntimeError(f"the plugin called {self._name}, but the test has no host: call fake_host() first")
            return getattr(getattr(current, self._name), function)(*arguments)

        return ask


def _record(name: str, *fields: str) -> type:
    return make_dataclass(name, fields)


def _variant(name: str, **cases: bool) -> list[type]:
    """Each case with whether it has a value."""
    return [make_dataclass(f"{name}_{case}", ["value"] if has_value else []) for case, has_value in cases.items()]


class Role(Enum):
    SYSTEM = 0
    USER = 1
    ASSISTANT = 2


riad_types_types = _Interface(
    "types",
    *_variant("Error", InvalidArgument=True, NotFound=False, LimitExceeded=True, Unavailable=False),
    _record("Passage", "document", "chunk", "title", "text", "score", "metadata"),
)
riad_pipeline_types = _Interface(
    "types",
    Role,
    _record("Message", "role", "content"),
    _record("Request", "messages", "profile", "max_tokens"),
    _record("Prompt", "messages", "passages"),
    _record("Citation", "passage", "grounded"),
    _record("Ending", "text", "citations"),
    Enum("FinishReason", ["STOP", "LENGTH", "TOOL_CALLS"], start=0),
    *_variant("StageError", InvalidRequest=True, Failed=True),
)
tools = _Interface("tools", _record("Tool", "name", "description", "parameters"))

clock = _Interface("clock")
documents = _Interface(
    "documents",
    _record("Document", "id", "title", "text", "metadata"),
    _record("Summary", "id", "title", "metadata", "bytes", "chunks"),
)
embeddings = _Interface("embeddings")
generation = _Interface(
    "generation",
    Role,
    _record("Message", "role", "content"),
    _record("Options", "max_tokens", "temperature", "stop", "schema"),
    _record("Generated", "text", "prompt_tokens", "completion_tokens", "is_cut"),
)
http = _Interface(
    "http",
    *_variant("HttpError", InvalidArgument=True, NotGranted=True, Failed=True, TimedOut=False, LimitExceeded=True),
    Enum("Method", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"], start=0),
    _record("Header", "name", "value"),
    _record("Request", "method", "url", "headers", "body"),
    _record("Response", "status", "headers", "body"),
)
kv = _Interface("kv")
logging = _Interface("logging", Enum("Level", ["DEBUG", "INFO", "WARN", "ERROR"], start=0))
model = _Interface("model", _record("Profile", "id", "context_tokens", "prompt_tokens", "passages", "sentences"))
random = _Interface("random")
settings = _Interface("settings")
store = _Interface(
    "store",
    *_variant("Value", Null=False, Integer=True, Real=True, Text=True, Blob=True),
    _record("Rows", "columns", "rows"),
)
