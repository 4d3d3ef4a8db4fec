"""Lines for the plugin's author, read with `riad plugin logs`. What is over the room's maximum is dropped. Where this module is imported,
`print` writes to the same log."""

from typing import Literal

from ._guest import set_console
from ._host import load

_host = load("logging")

Level = Literal["debug", "info", "warn", "error"]


def log(level: Level, message: object) -> None:
    _host.log(_host.Level[level.upper()], str(message))


def debug(message: object) -> None:
    log("debug", message)


def info(message: object) -> None:
    log("info", message)


def warn(message: object) -> None:
    log("warn", message)


def error(message: object) -> None:
    log("error", message)


set_console(info)
