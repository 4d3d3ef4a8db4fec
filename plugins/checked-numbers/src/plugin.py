"""Checks each number of an answer against what the model was given. One that stands in no passage, nor in the question, is marked, so that
a reader knows what to look up. The rest of the text goes out as the model writes it, word by word."""

from numbers_in_text import KnownNumbers
from riad_sdk import Citation, Ending, FinishReason, Prompt, Request, logging, postprocessing, settings
from sentences import cited_sentences
from stream import WordStream, mark_numbers


@postprocessing
class CheckedNumbers:
    """One answer."""

    def __init__(self, request: Request, prompt: Prompt) -> None:
        passages = [f"{passage.title}\n{passage.text}" for passage in prompt.passages]
        asked = [message.content for message in request.messages if message.role != "assistant"]
        self._passages = [KnownNumbers(passage) for passage in passages]
        self._known = KnownNumbers(*passages, *asked)
        self._mark: str = settings.get("unverified_mark", " (not in the sources)")
        self._stream = WordStream()
        self._answer = ""
        self._unknown: list[str] = []

    def push(self, piece: str) -> str:
        self._answer += piece
        return self._marked(*self._stream.push(piece))

    def finish(self, reason: FinishReason) -> Ending:
        text = self._marked(*self._stream.finish())
        if self._unknown:
            logging.info(f"not in the sources: {', '.join(self._unknown)}")
        return Ending(text, self._citations())

    def _marked(self, before: str, text: str) -> str:
        marked, unknown = mark_numbers(before, text, self._known.has, self._mark)
        self._unknown += unknown
        return marked

    def _citations(self) -> list[Citation]:
        """A passage is cited well if it has all numbers of the sentence that cites it."""
        citations = []
        for number, numbers in cited_sentences(self._answer):
            if 1 <= number <= len(self._passages):
                known = self._passages[number - 1]
                citations.append(Citation(number, all(known.has(one) for one in numbers)))
        return citations
