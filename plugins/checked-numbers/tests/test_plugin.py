import plugin
import pytest
from riad_sdk import Citation, Passage
from riad_sdk.testing import fake_host, postprocess

DRILL = Passage("drill", "The drill weighs 1.5 kg and costs 1,299.00 euros, from 2026-05-01.", title="Drill 3000")
SAW = Passage("saw", "The saw has 40 teeth.")
MARK = " (not in the sources)"


def read(answer: str, *, size: int = 3, asked: str = "What does it cost?") -> str:
    pieces = [answer[start : start + size] for start in range(0, len(answer), size)]
    return postprocess(plugin, pieces, asked=asked, passages=[DRILL, SAW]).text


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_a_number_is_found_however_the_answer_is_cut(size: int) -> None:
    fake_host()
    answer = "It costs 1299 euros, not 1398, and weighs 1,5 kg [1, 2].\nBuy 17."
    expected = f"It costs 1299 euros, not 1398{MARK}, and weighs 1,5 kg [1, 2].\nBuy 17{MARK}."
    assert read(answer, size=size) == expected


def test_numbers_of_the_question_and_of_titles_are_known() -> None:
    fake_host()
    assert read("For 8 people: 3000.", asked="We are 8") == "For 8 people: 3000."


def test_lists_references_and_names_are_no_claims() -> None:
    fake_host()
    answer = "1. Paper A4 [7]\n2) GPT_9\n"
    assert read(answer) == answer


def test_a_date_is_known_as_a_whole_or_by_its_parts() -> None:
    fake_host()
    assert read("2026-05-01 or 01/05/2026") == "2026-05-01 or 01/05/2026"
    assert read("on 2027-05-01.") == f"on 2027-05-01{MARK}."


def test_the_tenant_words_the_mark_and_the_log_has_the_numbers() -> None:
    host = fake_host(settings={"unverified_mark": " [?]"})
    assert read("12 or 13kg") == "12 [?] or 13 [?]kg"
    assert host.logs == [("info", "not in the sources: 12, 13")]


def test_a_citation_holds_if_its_passage_has_the_numbers() -> None:
    fake_host()
    answer = "It weighs 1.5 kg [1]. It has 40 teeth [1][2]. Nice [9]. Good [2]."
    result = postprocess(plugin, [answer], passages=[DRILL, SAW])
    assert result.citations == [Citation(1, True), Citation(1, False), Citation(2, True), Citation(2, True)]


def test_an_answer_without_passages_is_marked_whole() -> None:
    fake_host()
    assert postprocess(plugin, ["It is 5 or 6"], asked="5?").text == f"It is 5 or 6{MARK}"
