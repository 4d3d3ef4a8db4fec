"""The host's interfaces and their errors. In a component they are modules that `componentize-py` makes for the plugin's world; elsewhere
`_contracts` has stand-ins with the same names."""

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

from .errors import RiadError, from_host

Result = TypeVar("Result")

IN_COMPONENT = find_spec("wit_world") is not None

Err: type[Any] = import_module("componentize_py_types" if IN_COMPONENT else "riad_sdk._contracts").Err


def load(name: str) -> Any:
    """A module of the world. All are loaded while the component is built: at run time there are no files to load them from."""
    if not IN_COMPONENT:
        return getattr(import_module("riad_sdk._contracts"), name)
    try:
        return import_module(f"wit_world.imports.{name}")
    except ModuleNotFoundError:
        raise ImportError(f'the plugin imports riad_sdk.{name}: add "{name}" to `capabilities` in riad.toml') from None


def load_stage(name: str) -> Any:
    """The types of an exported interface."""
    if not IN_COMPONENT:
        return getattr(import_module("riad_sdk._contracts"), name)
    try:
        return import_module(f"wit_world.exports.{name}")
    except ModuleNotFoundError:
        raise ImportError(f'the plugin has {name}: add "{name}" to `stages` in riad.toml') from None


def call(ask: Callable[[], Result]) -> Result:
    """Makes a host call."""
    try:
        return ask()
    except Err as error:
        raise from_host(error.value) from None


def whole(name: str, value: int) -> int:
    """An unsigned number of 32 bits. Whether it is too large for its purpose, the host says."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**32:
        raise RiadError("invalid_argument", f"`{name}` must be a whole number from 0 to {2**32 - 1}, not {value!r}")
    return value


def text(name: str, value: str) -> str:
    if not isinstance(value, str):
        raise RiadError("invalid_argument", f"`{name}` must be a string, not {value!r}")
    return value
