"""Question sets out of Debian's manual pages, one for each language: the question is the one-line description of the NAME section, the
answer is its page, whose NAME section, title and file name are left out. Not here: reading roff (`roff`)."""

import gzip
import os
import random
import re
from collections import Counter, defaultdict
from pathlib import Path

import roff
from question_set import Page, QuestionSet

FOLDER = Path("/usr/share/man")
ENGLISH = "en"
# Fewer pages than this make no set: a page more or less would be several percent.
PAGES_MIN = 20
# Of a program with a page for each of its commands, which are near-duplicates of one another.
FAMILY_MAX = 40
TEXT_MIN = 300
DASHES = re.compile(r"\s(?:-{1,2}|[–—―])\s*|(?<=[\u3000-\u9fff])(?:[—―]{1,2})|\s--?(?=\w)")
QUESTION_MIN = 8
# Translators have not come to every paragraph. One that has such words and no letter of another alphabet is left out.
ENGLISH_WORDS = {"the", "and", "this", "that", "with", "which", "from", "you", "are"}
# Of UTF-8 that was taken for Latin-1 and made UTF-8 again, which some packages ship.
MOJIBAKE = re.compile(r"[\u00c2\u00c3\u00d0][\u0080-\u00bf]")
QUESTION_MIN_WITHOUT_SPACES = 4


def source_of(path):
    try:
        packed = path.read_bytes()
        return (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode("utf-8")
    except (OSError, EOFError, UnicodeDecodeError):
        return None


def files_of(folder):
    """Sources of pages below a language's folder, without links to others, in the order of their paths."""
    for section in sorted(folder.glob("man[1-8]")):
        for path in sorted(section.iterdir()):
            if path.is_file() and not path.is_symlink():
                yield path


def is_english(paragraph):
    return paragraph.isascii() and not ENGLISH_WORDS.isdisjoint(paragraph.lower().split())


def page_of(path, language):
    """The page's question and its text; `None` if it has not both."""
    source = source_of(path)
    if source is None:
        return None
    parts = [(heading, paragraphs) for heading, paragraphs in roff.sections(source) if heading]
    if len(parts) < 2:
        return None
    # In every language the first section is the one that apropos reads.
    described = DASHES.split(" ".join(parts[0][1]), maxsplit=1)
    if len(described) < 2:
        return None
    question = described[1].strip()
    least = QUESTION_MIN_WITHOUT_SPACES if re.search(r"[\u3040-\u9fff\uac00-\ud7af]", question) else QUESTION_MIN
    paragraphs = [paragraph for heading, below in parts[1:] for paragraph in [heading, *below]]
    if language != ENGLISH:
        paragraphs = [paragraph for paragraph in paragraphs if not is_english(paragraph)]
    text = "\n\n".join(paragraphs)
    if len(question) < least or len(text) < TEXT_MIN or MOJIBAKE.search(question + text):
        return None
    return question, text


def question_set(language, folder, most, seed):
    paths = list(files_of(folder))
    random.Random(seed).shuffle(paths)
    families, pages, texts = Counter(), [], set()
    for path in paths:
        family = re.split(r"[-_.]", path.name, maxsplit=1)[0]
        if families[family] >= FAMILY_MAX:
            continue
        page = page_of(path, language)
        if page is None or page[1] in texts or language != ENGLISH and is_english(page[0]):
            continue
        families[family] += 1
        texts.add(page[1])
        pages.append((f"{path.parent.name}/{path.name}", *page))
        if len(pages) == most:
            break
    # A question of several pages has several answers, of which one would be called wrong.
    asked = defaultdict(int)
    for _, question, _ in pages:
        asked[question] += 1
    kept = [Page(name, text, question) for name, question, text in pages if asked[question] == 1]
    return QuestionSet(f"man {language}", language, kept) if len(kept) >= PAGES_MIN else None


def question_sets(most, seed, skipped):
    if not FOLDER.is_dir():
        skipped.append("manual pages: there are none on this machine")
        return []
    folders = {ENGLISH: FOLDER}
    for entry in sorted(os.listdir(FOLDER)):
        if re.fullmatch(r"[a-z]{2}(_[A-Z]{2})?", entry):
            folders[entry] = FOLDER / entry
    made = {language: question_set(language, folder, most, seed) for language, folder in folders.items()}
    few = [language for language, found in made.items() if found is None]
    if few:
        skipped.append(f"manual pages in {', '.join(few)}: fewer than {PAGES_MIN} pages with a description and a text")
    return [found for found in made.values() if found]
