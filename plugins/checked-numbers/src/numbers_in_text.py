"""Numbers in texts, and whether two of them are the same. Pure; capabilities are in `plugin`."""

import re

# Not behind a letter or an underscore, so that `A4` and `gpt_4` are names. Times, dates and ranges are one number.
NUMBER = re.compile(r"(?<![\w.,])\d+(?:[.,:/–-]\d+)*")
_SEPARATORS = re.compile(r"[:/–-]")


def values(number: str) -> set[str]:
    """What a number may mean: `1,234` is 1234 to some readers and 1.234 to others, so it is both. `1.2.3` is only itself."""
    found = set()
    for decimal, thousands in ((".", ","), (",", ".")):
        digits = rf"(\d{{1,3}}(?:\{thousands}\d{{3}})+|\d+)"
        match = re.fullmatch(rf"{digits}(?:\{decimal}(\d+))?", number)
        if match is not None:
            whole = match[1].replace(thousands, "").lstrip("0") or "0"
            fraction = (match[2] or "").rstrip("0")
            found.add(f"{whole}.{fraction}" if fraction else whole)
    return found or {number}


class KnownNumbers:
    """Numbers of the texts that an answer may rely on."""

    def __init__(self, *texts: str) -> None:
        self._literals: set[str] = set()
        self._values: set[str] = set()
        for text in texts:
            for match in NUMBER.finditer(text):
                self._literals.add(match[0])
                for part in _SEPARATORS.split(match[0]):
                    self._values |= values(part)

    def has(self, number: str) -> bool:
        """A date or a range is known as a whole, or by its parts."""
        return number in self._literals or all(values(part) & self._values for part in _SEPARATORS.split(number))
