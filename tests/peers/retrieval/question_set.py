"""What a question set is: pages, each with the question that it answers; a part of the questions is held out. And how a page is cut into
pieces for the peers, which have no chunker of their own. Not here: where the pages are from (`man_pages`, `rust_docs`)."""

import hashlib
from dataclasses import dataclass

# As the server's `limits.chunk_characters`.
PIECE_CHARACTERS = 1000


@dataclass(frozen=True)
class Page:
    name: str
    text: str
    question: str

    @property
    def is_held_out(self):
        """Half of the questions, by a hash of the page's name: the same ones on every machine, whatever else it has."""
        return hashlib.sha256(self.name.encode()).digest()[0] % 2 == 1


@dataclass(frozen=True)
class QuestionSet:
    name: str
    language: str
    pages: list

    def questions(self, held_out):
        """Places of the pages whose questions are asked. Every page is searched, whichever they are."""
        return [place for place, page in enumerate(self.pages) if page.is_held_out == held_out]


def pieces(text):
    """Whole paragraphs up to the characters of a chunk; a longer paragraph is cut at spaces."""
    cut, current = [], ""
    for paragraph in text.split("\n\n"):
        while len(paragraph) > PIECE_CHARACTERS:
            space = paragraph.rfind(" ", 1, PIECE_CHARACTERS)
            end = space if space > 0 else PIECE_CHARACTERS
            if current:
                cut.append(current)
                current = ""
            cut.append(paragraph[:end])
            paragraph = paragraph[end:].lstrip()
        if current and len(current) + 2 + len(paragraph) > PIECE_CHARACTERS:
            cut.append(current)
            current = paragraph
        else:
            current = f"{current}\n\n{paragraph}" if current else paragraph
    if current.strip():
        cut.append(current)
    return cut
