"""An answer in pieces that end anywhere, as pieces that end between words, so that no number is cut in two. Pure."""

import re
from collections.abc import Callable

from numbers_in_text import NUMBER

# A number at the beginning of a line with a full stop or a parenthesis counts the line.
_LIST_ITEM = re.compile(r"(?:^|\n)[ \t]*(\d+)[.)](?=\s)")
_REFERENCE = re.compile(r"\[\d+(?:\s*,\s*\d+)*\]")
_OPEN_REFERENCE = re.compile(r"\[[\d\s,]*$")


class WordStream:
    """Holds back what the next piece may go on with."""

    def __init__(self) -> None:
        self._held = ""
        self._before = "\n"

    def push(self, piece: str) -> tuple[str, str]:
        """The character before what may go out now, and that."""
        self._held += piece
        end = max(self._held.rfind(" "), self._held.rfind("\n"), self._held.rfind("\t")) + 1
        # A reference such as `[1, 2]` has spaces in it.
        opened = _OPEN_REFERENCE.search(self._held[:end])
        return self._take(opened.start() if opened else end)

    def finish(self) -> tuple[str, str]:
        return self._take(len(self._held))

    def _take(self, end: int) -> tuple[str, str]:
        text, self._held = self._held[:end], self._held[end:]
        before = self._before
        if text:
            self._before = text[-1]
        return before, text


def mark_numbers(before: str, text: str, is_known: Callable[[str], bool], mark: str) -> tuple[str, list[str]]:
    """The text with the mark behind each number that is not known, and these numbers. `before` is the character before the text."""
    whole = before + text
    skipped = [match.span() for match in _REFERENCE.finditer(whole)]
    skipped += [match.span(1) for match in _LIST_ITEM.finditer(whole)]
    unknown: list[str] = []

    def marked(match: re.Match[str]) -> str:
        is_skipped = any(start <= match.start() and match.end() <= end for start, end in skipped)
        if is_skipped or is_known(match[0]):
            return match[0]
        unknown.append(match[0])
        return match[0] + mark

    return NUMBER.sub(marked, whole)[len(before) :], unknown
