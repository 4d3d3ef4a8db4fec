"""Text for speed: pieces of manual pages, each of which the server's chunker makes exactly one chunk, so that peers have the same ones;
and whole pages. Not here: questions with answers (`man_pages`)."""

import itertools
import random

import man_pages
import measures
import roff
from question_set import PIECE_CHARACTERS, pieces

# Two pieces of more than half a chunk are never put into one.
PIECE_MIN = PIECE_CHARACTERS // 2 + 10
# The blank line behind a paragraph counts.
PIECE_MAX = PIECE_CHARACTERS - 2
# Pieces of one document.
DOCUMENT_PIECES = 100
QUESTION_WORDS = 5


def texts():
    """The pages' texts, without end: after the last one the words of each are shuffled, with a seed of its own."""
    for round_number in itertools.count():
        found = False
        for place, path in enumerate(ordered_paths()):
            source = man_pages.source_of(path)
            if source is None:
                continue
            text = "\n\n".join(paragraph for _, below in roff.sections(source) for paragraph in below)
            if round_number:
                words = text.split()
                random.Random(f"{round_number} {place}").shuffle(words)
                text = " ".join(words)
            found = found or bool(text)
            yield text
        if not found:
            raise RuntimeError("there are no manual pages to make text of")


def ordered_paths():
    """Pages of all programs first, before those of a program with thousands of near-duplicates."""
    paths = list(man_pages.files_of(man_pages.FOLDER))
    families = {}
    for path in paths:
        families.setdefault(path.name.split("-")[0].split("_")[0].split(".")[0], []).append(path)
    rounds = itertools.zip_longest(*families.values())
    return [path for one in rounds for path in one if path]


class Pieces:
    """Distinct pieces without blank lines, as many as have been asked for yet."""

    def __init__(self):
        self.texts = texts()
        self.found = {}

    def first(self, count):
        while len(self.found) < count:
            for piece in pieces(next(self.texts)):
                piece = " ".join(piece.split())
                if PIECE_MIN <= len(piece) <= PIECE_MAX:
                    self.found.setdefault(piece)
        return list(itertools.islice(self.found, count))


PIECES = Pieces()


def piece_list(count):
    return PIECES.first(count)


def page_list(count):
    return list(itertools.islice((text for text in texts() if len(text) >= man_pages.TEXT_MIN), count))


def long_text(size):
    """ASCII, so that its characters are its bytes."""
    parts, left = [], size
    for text in texts():
        part = text.encode("ascii", "ignore").decode() + "\n\n"
        parts.append(part[:left])
        left -= len(part)
        if left <= 0:
            return "".join(parts)


def documents(parts):
    """Pairs of a document's text and the place of its first piece."""
    for start in range(0, len(parts), DOCUMENT_PIECES):
        yield "\n\n".join(parts[start : start + DOCUMENT_PIECES]), start


def questions(parts, count, seed):
    """A few neighboring words of a piece each."""
    chosen = random.Random(seed)
    made = []
    for piece in chosen.choices(parts, k=count):
        words = piece.split()
        start = chosen.randrange(max(1, len(words) - QUESTION_WORDS))
        made.append(" ".join(words[start : start + QUESTION_WORDS]))
    return made


def fill(room, parts):
    """Adds the pieces. Returns the place of each document's first piece by its id, and the seconds of each request."""
    starts, seconds = {}, []
    for text, start in documents(parts):
        made, took = measures.timed(room.add, text)
        expected = min(DOCUMENT_PIECES, len(parts) - start)
        if made["chunks"] != expected:
            raise RuntimeError(f"the server made {made['chunks']} chunks of {expected} pieces")
        starts[made["id"]] = start
        seconds.append(took)
    return starts, seconds
