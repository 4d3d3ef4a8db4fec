"""Errors of the fake host, raised as the bindings raise those of the real one."""

from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import RiadError
from .. import _contracts
from .._contracts import Err

Result = TypeVar("Result")


def invalid(message: str) -> Err:
    return Err(_contracts.riad_types_types.Error_InvalidArgument(message))


def not_found() -> Err:
    return Err(_contracts.riad_types_types.Error_NotFound())


def limit_exceeded(message: str) -> Err:
    return Err(_contracts.riad_types_types.Error_LimitExceeded(message))


def not_granted(message: str) -> Err:
    return Err(_contracts.http.HttpError_NotGranted(message))


def answered(ask: Callable[[], Result], types: Any, variant: str) -> Result:
    """Calls a test's own function, which may raise a `RiadError` for the host to answer with."""
    try:
        return ask()
    except RiadError as error:
        case = vars(types).get(f"{variant}_{error.kind.title().replace('_', '')}")
        if case is None:
            raise
        has_value = bool(case.__dataclass_fields__)
        raise Err(case(str(error)) if has_value else case()) from error
