"""What an answer says with a reference such as `[2]`. Pure."""

import re
from collections.abc import Iterator

from numbers_in_text import NUMBER

_REFERENCE = re.compile(r"\[(\d{1,4}(?:\s*,\s*\d{1,4})*)\]")


def cited_sentences(answer: str) -> Iterator[tuple[int, list[str]]]:
    """Each reference with the numbers of what stands between it and the one before; references side by side share it."""
    numbers: list[str] = []
    end = 0
    for match in _REFERENCE.finditer(answer):
        between = answer[end : match.start()]
        if any(character.isalnum() for character in between):
            numbers = NUMBER.findall(between)
        for number in match[1].split(","):
            yield int(number), numbers
        end = match.end()
