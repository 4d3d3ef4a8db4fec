import pytest
from numbers_in_text import KnownNumbers, values


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1234", {"1234"}),
        ("007", {"7"}),
        ("0.50", {"0.5"}),
        ("1,234.50", {"1234.5"}),
        ("1.234,50", {"1234.5"}),
        ("1.234.567", {"1234567"}),
        ("1,234", {"1234", "1.234"}),
        ("1.2.3", {"1.2.3"}),
    ],
)
def test_a_number_means_what_its_readers_may_read(written: str, meant: set[str]) -> None:
    assert values(written) == meant


def test_a_range_is_known_by_its_parts() -> None:
    known = KnownNumbers("from 10 to 20")
    assert known.has("10-20")
    assert not known.has("10-30")
    assert not KnownNumbers().has("1")
