import plugin
from riad_sdk.testing import fake_host, postprocess


def test_a_whole_answer_is_signed() -> None:
    fake_host()
    assert postprocess(plugin, ["Hel", "lo!"]).text == "Hello!\n\nAnswered by {{name}}."


def test_the_tenants_own_line_is_used_also_under_a_cut_answer() -> None:
    fake_host(settings={"signature": "Yours, Ada"})
    assert postprocess(plugin, ["Hello and"], finish="length").text == "Hello and…\n\nYours, Ada"
