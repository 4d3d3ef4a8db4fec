"""What a plugin exports. A decorator leaves the author's function or class as it is, so that tests call it, and makes the class of the
contract's stage beside it, where `componentize-py` looks for it."""

import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, TypeVar

from ._guest import enter
from ._host import IN_COMPONENT, Err, load_stage
from ._schema import bind, parameters_of
from ._wire import (
    ending_to_host,
    expect,
    passage_from_host,
    passage_to_host,
    prompt_from_host,
    prompt_to_host,
    request_from_host,
    stage_error,
    to_json,
)
from .errors import InvalidRequest, RiadError
from .types import Ending, FinishReason, Passage, Prompt, Request

MAIN = "plugin"
"""The plugin's main module."""

Retrieve = TypeVar("Retrieve", bound=Callable[[Request], list[Passage]])
BuildPrompt = TypeVar("BuildPrompt", bound=Callable[[Request, list[Passage]], Prompt])
Call = TypeVar("Call", bound=Callable[..., Any])
_Result = TypeVar("_Result")


class Filter(Protocol):
    """What a class for the stage `postprocessing` is. One is made per choice of the answer: `__init__(self, request, prompt)`."""

    def push(self, piece: str) -> str:
        """A piece of the model's output in, what may go out now (perhaps ""). Pieces end anywhere, also inside a word."""
        ...

    def finish(self, reason: FinishReason) -> Ending | str | None:
        """The output has ended. A string is an ending without citations."""
        ...


FilterClass = TypeVar("FilterClass", bound=Callable[[Request, Prompt], Filter])


def retrieval(function: Retrieve) -> Retrieve:
    """From a chat request to passages, best first."""

    class Retrieval:
        def retrieve(self, request: Any) -> list[Any]:
            return _run(lambda: [passage_to_host(found) for found in function(request_from_host(request))])

    _export(MAIN, Retrieval)
    return _marked(function, Retrieval)


def prompting(function: BuildPrompt) -> BuildPrompt:
    """From passages to what the model reads."""

    class Prompting:
        def build_prompt(self, request: Any, passages: list[Any]) -> Any:
            given = [passage_from_host(passage) for passage in passages]
            return _run(lambda: prompt_to_host(function(request_from_host(request), given)))

    _export(MAIN, Prompting)
    return _marked(function, Prompting)


def postprocessing(filter_class: FilterClass) -> FilterClass:
    """From what the model writes to what the client reads."""

    class Filter:
        def __init__(self, request: Any, prompt: Any) -> None:
            # A constructor cannot answer with an error, so that of the author's class is kept for the first call.
            enter()
            self._failure: Exception | None = None
            try:
                self._filter = filter_class(request_from_host(request), prompt_from_host(prompt))
            except Exception as error:
                self._failure = error

        def push(self, piece: str) -> str:
            return _run(lambda: expect(self._opened().push(piece), str, "what push returns"))

        def finish(self, reason: Any) -> Any:
            return _run(lambda: ending_to_host(self._opened().finish(reason.name.lower())))

        def _opened(self) -> Any:
            if self._failure is not None:
                raise self._failure
            return self._filter

    if IN_COMPONENT:
        import_module("postprocessing")
    _export("postprocessing", Filter)
    return _marked(filter_class, Filter)


def tool(
    *, name: str | None = None, description: str | None = None, parameters: dict[str, Any] | None = None
) -> Callable[[Call], Call]:
    """A function that the model may call while it answers; a plugin has at most 32.

    `name`, 1 to 64 letters, digits, `_` and `-`, is the function's, and `description`, which the model reads to decide whether to call
    it, is its docstring. `parameters` is a JSON Schema of an object; if it is not given, it is made of the function's annotations. The
    function is called with the members of the model's object as keyword arguments. A string that it returns goes to the model as it is,
    anything else as JSON. `InvalidRequest` goes to the model too; other errors end the request.
    """

    def decorate(function: Call) -> Call:
        known = name or function.__name__
        if known in _tools:
            raise ValueError(f"two tools have the name {known}")
        words = description or (function.__doc__ or "").strip()
        if not words:
            raise ValueError(f"the tool {known} needs a description, such as a docstring")
        offered = load_stage("tools").Tool(name=known, description=words, parameters=to_json(parameters or parameters_of(function)))
        _tools[known] = (function, offered)
        _export(MAIN, Tools)
        return _marked(function, Tools)

    return decorate


_tools: dict[str, tuple[Callable[..., Any], Any]] = {}


class Tools:
    """All tools of the plugin."""

    def offer(self) -> list[Any]:
        return [offered for _, offered in _tools.values()]

    def call(self, name: str, arguments: str) -> str:
        return _run(lambda: _call(name, arguments))


def _call(name: str, arguments: str) -> str:
    if name not in _tools:
        raise InvalidRequest(f"there is no tool {name}")
    function, _ = _tools[name]
    result = function(**bind(function, arguments))
    return result if isinstance(result, str) else to_json(result)


def _export(module: str, stage: type) -> None:
    """`componentize-py` looks for a class of this name there. Where a test imports the plugin under another name, nobody looks."""
    if module in sys.modules:
        setattr(sys.modules[module], stage.__name__, stage)


def _marked(target: Any, stage: type) -> Any:
    """`riad_sdk.testing` finds the stage at the author's function."""
    target.riad_stage = stage
    return target


def _run(stage: Callable[[], _Result]) -> _Result:
    """Runs a stage; what it raises becomes a `stage-error`."""
    enter()
    try:
        return stage()
    except Exception as error:
        raise Err(stage_error(isinstance(error, InvalidRequest), _describe(error))) from None


def _describe(error: Exception) -> str:
    """An author's own mistake is told with its place."""
    if isinstance(error, (InvalidRequest, RiadError)):
        return str(error)
    place = ""
    traceback = error.__traceback__
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename.replace("\\", "/").rpartition("/")[2]
        place = f" ({file}:{traceback.tb_lineno})"
        traceback = traceback.tb_next
    return f"{type(error).__name__}: {error}{place}"
