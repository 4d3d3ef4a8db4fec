"""Stages as the host calls them."""

import sys
import unittest
from types import ModuleType
from typing import Any

from riad_sdk import (
    Citation,
    Ending,
    InvalidRequest,
    Message,
    Passage,
    Prompt,
    RiadError,
    postprocessing,
    prompting,
    retrieval,
    tool,
)
from riad_sdk.testing import StageFailed, build_prompt, call_tool, make_request, offer, postprocess, retrieve


def plugin(**members: Any) -> ModuleType:
    module = ModuleType("a_plugin")
    vars(module).update(members)
    return module


def raising(error: Exception) -> ModuleType:
    def find(request: Any) -> list[Passage]:
        raise error

    return plugin(find=retrieval(find))


class Held:
    """Gives all at the end."""

    def __init__(self, request: Any, prompt: Prompt) -> None:
        if request.question == "boom":
            raise InvalidRequest("no")
        self.prompt, self.text = prompt, ""

    def push(self, piece: str) -> str:
        self.text += piece
        return ""

    def finish(self, reason: str) -> Ending:
        return Ending(f"{self.text} ({reason})", [Citation(1, True)])


@tool()
def add(a: int, b: int = 2) -> dict[str, int]:
    """Adds two numbers."""
    return {"sum": a + b}


class Stages(unittest.TestCase):
    def test_a_passage_is_filled_in_and_read_back(self) -> None:
        found = retrieve(plugin(find=retrieval(lambda request: [Passage("a", "b", metadata={"year": 2026})])), "Hi")
        self.assertEqual(found, [Passage("a", "b", 0, "", 0.0, {"year": 2026})])

    def test_what_a_passage_must_have_is_named(self) -> None:
        wrong: Any = [Passage("a", None)]  # type: ignore[arg-type]
        with self.assertRaisesRegex(StageFailed, "a passage's text must be a str, not a NoneType"):
            retrieve(plugin(find=retrieval(lambda request: wrong)), "Hi")

    def test_a_document_id_that_the_host_refuses_is_refused(self) -> None:
        with self.assertRaisesRegex(StageFailed, "A b"):
            retrieve(plugin(find=retrieval(lambda request: [Passage("A b", "")])), "Hi")

    def test_a_score_or_metadata_that_is_no_number_is_refused(self) -> None:
        for passage in (Passage("a", "b", score=float("nan")), Passage("a", "b", metadata={"x": float("inf")})):
            with self.assertRaisesRegex(StageFailed, "ValueError"):
                retrieve(plugin(find=retrieval(lambda request, passage=passage: [passage])), "Hi")

    def test_prompting_gets_the_request_and_its_passages(self) -> None:
        build = prompting(lambda request, passages: Prompt([Message("system", request.question)], passages))
        prompt = build_prompt(plugin(build=build), make_request("Hi", passages=9), [Passage("a", "b", metadata={"y": 1})])
        self.assertEqual(prompt, Prompt([Message("system", "Hi")], [Passage("a", "b", metadata={"y": 1})]))

    def test_a_prompt_without_a_message_is_refused(self) -> None:
        with self.assertRaisesRegex(StageFailed, "needs a message"):
            build_prompt(plugin(build=prompting(lambda request, passages: Prompt([]))), "Hi")

    def test_a_role_that_is_none_is_named(self) -> None:
        wrong: Any = Message("robot", "Hi")  # type: ignore[arg-type]
        with self.assertRaisesRegex(StageFailed, "not 'robot'"):
            build_prompt(plugin(build=prompting(lambda request, passages: Prompt([wrong]))), "Hi")

    def test_a_filter_holds_back_and_ends_with_the_reason(self) -> None:
        module = plugin(Held=postprocessing(Held))
        answer = postprocess(module, ["a", "b"], passages=[Passage("a", "b")], finish="tool_calls")
        self.assertEqual(answer.pieces, ["", "", "ab (tool_calls)"])
        self.assertEqual(answer.citations, [Citation(1, True)])
        with self.assertRaisesRegex(StageFailed, "no passage 1"):
            postprocess(module, [])

    def test_a_filter_that_cannot_be_made_fails_at_its_first_call(self) -> None:
        with self.assertRaisesRegex(InvalidRequest, "no"):
            postprocess(plugin(Held=postprocessing(Held)), ["a"], asked="boom")

    def test_errors_of_a_stage_are_told_apart(self) -> None:
        with self.assertRaisesRegex(InvalidRequest, "^why$"):
            retrieve(raising(InvalidRequest("why")), "Hi")
        with self.assertRaisesRegex(StageFailed, "^down$"):
            retrieve(raising(RiadError("unavailable", "down")), "Hi")
        with self.assertRaisesRegex(StageFailed, r"^KeyError: 'mine' \(test_stages\.py:\d+\)$"):
            retrieve(raising(KeyError("mine")), "Hi")

    def test_a_tool_is_offered_with_a_schema_of_its_annotations(self) -> None:
        (offered,) = offer(plugin(add=add))
        self.assertEqual((offered["name"], offered["description"]), ("add", "Adds two numbers."))
        self.assertEqual(
            offered["parameters"],
            {
                "type": "object",
                "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
                "required": ["a"],
                "additionalProperties": False,
            },
        )

    def test_a_tool_is_called_with_the_models_arguments(self) -> None:
        self.assertEqual(add(1), {"sum": 3})
        self.assertEqual(call_tool(plugin(add=add), "add", a=1), '{"sum": 3}')

    def test_arguments_that_do_not_fit_are_told_to_the_model(self) -> None:
        with self.assertRaisesRegex(InvalidRequest, "'c'"):
            call_tool(plugin(add=add), "add", a=1, c=2)
        with self.assertRaisesRegex(InvalidRequest, "no tool subtract"):
            call_tool(plugin(add=add), "subtract")

    def test_a_tool_needs_words_and_a_name_of_its_own(self) -> None:
        with self.assertRaisesRegex(ValueError, "needs a description"):
            tool()(lambda: None)
        with self.assertRaisesRegex(ValueError, "two tools"):
            tool(name="add", description="Again.")(lambda: None)
        with self.assertRaisesRegex(TypeError, "annotate `x`"):
            tool(name="x", description="X.")(lambda x: None)

    def test_the_main_module_gets_the_contracts_class(self) -> None:
        sys.modules["plugin"] = main = ModuleType("plugin")
        try:
            retrieval(lambda request: [])
            self.assertEqual(main.Retrieval().retrieve(_wire_request()), [])
        finally:
            del sys.modules["plugin"]


def _wire_request() -> Any:
    from riad_sdk import _contracts

    message = _contracts.riad_pipeline_types.Message(_contracts.riad_pipeline_types.Role.USER, "Hi")
    profile = _contracts.model.Profile("m", 1, 1, 1, 1)
    return _contracts.riad_pipeline_types.Request([message], profile, 1)


if __name__ == "__main__":
    unittest.main()
