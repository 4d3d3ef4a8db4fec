"""What Python without WASI cannot do: each of these would end the plugin without a word, or, as `random`, give every request the same
numbers, because the interpreter's memory is a snapshot that was taken when the plugin was built."""

import builtins
import linecache
import random
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

from ._host import IN_COMPONENT

_write: Callable[[str], None] | None = None
_has_entered = False


def prepare() -> None:
    """Refuses randomness, also while the component is built. Tests run with what their own Python has."""
    if not IN_COMPONENT:
        return
    for name in random.__all__:
        if getattr(getattr(random, name), "__self__", None) is not None:
            setattr(random, name, _missing("randomness", "use riad_sdk.random"))


def enter() -> None:
    """Refuses what a built component lacks, before its first call. While it is built a plugin may read files and print."""
    global _has_entered
    if not IN_COMPONENT or _has_entered:
        return
    _has_entered = True
    for name in ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"):
        setattr(time, name, _missing("clock", "use riad_sdk.clock"))
    builtins.open = _missing("files", "read what it needs where the module begins, which is when it is built")
    # A traceback shows lines of the source, which would be read from a file.
    linecache.getlines = lambda filename, module_globals=None: []
    linecache.checkcache = lambda filename=None: None
    console: Any = _Console()
    sys.stdout = sys.stderr = console


def set_console(write: Callable[[str], None]) -> None:
    """Gives `print` somewhere to write whole lines."""
    global _write
    _write = write


def _missing(what: str, instead: str) -> Any:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise RuntimeError(f"a plugin has no {what} of its own; {instead}")

    return refuse


class _Console:
    """Standard output of a plugin: lines of its log, if it has one."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self._line = ""

    def write(self, text: str) -> int:
        if _write is None:
            raise RuntimeError("a plugin has no console; import riad_sdk.logging, and print writes to the log")
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            _write(line)
        return len(text)

    def flush(self) -> None:
        """A line that has not ended waits for its end."""

    def isatty(self) -> bool:
        return False
