"""A question set out of the documentation of Rust's standard library: the question is the first sentence of an item, the answer is the
rest of what its page says of the item and its methods. Not here: pages of the same items in `core` and `alloc`, what is implemented for
every type, and vendors' intrinsics, of which thousands differ in a number."""

import random
import re
from collections import Counter
from html.parser import HTMLParser

from question_set import Page, QuestionSet

ITEM = re.compile(r"(struct|fn|trait|enum|macro|keyword|primitive|type)\..+\.html")
TEXT_MIN = 300
QUESTION_MIN = 20
BLOCKS = {"p", "pre", "h2", "h3", "h4", "h5", "li", "tr", "div"}
# Where a page says what many pages say.
REPEATED = ('<h2 id="trait-implementations"', '<h2 id="synthetic-implementations"', '<h2 id="blanket-implementations"', '<h2 id="deref-methods')


class Documentation(HTMLParser):
    """The paragraphs of what authors wrote: the elements of the class `docblock`."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.depth = 0
        self.blocks = [""]

    def handle_starttag(self, tag, attributes):
        if self.depth == 0:
            if tag == "div" and "docblock" in (dict(attributes).get("class") or "").split():
                self.depth = 1
        elif tag == "div":
            self.depth += 1
        if self.depth and tag in BLOCKS:
            self.blocks.append("")

    def handle_endtag(self, tag):
        if self.depth and tag in BLOCKS:
            self.blocks.append("")
        if self.depth and tag == "div":
            self.depth -= 1

    def handle_data(self, text):
        if self.depth:
            self.blocks[-1] += text.replace("§", "")

    def paragraphs(self):
        return [" ".join(block.split()) for block in self.blocks if block.strip()]


def page_of(path):
    html = path.read_text("utf-8")
    for mark in REPEATED:
        html = html.split(mark, 1)[0]
    found = Documentation()
    found.feed(html)
    paragraphs = found.paragraphs()
    if not paragraphs:
        return None
    # The end of a sentence is a period before a capital letter, so that "e.g." ends none.
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z])", paragraphs[0], maxsplit=1)
    rest = "\n\n".join([*sentences[1:], *paragraphs[1:]])
    if len(sentences[0]) < QUESTION_MIN or len(rest) < TEXT_MIN:
        return None
    return sentences[0], rest


def question_sets(folder, most, seed, skipped):
    """`folder` is `share/doc/rust` of a toolchain."""
    library = folder / "html/std" if folder else None
    if library is None or not library.is_dir():
        skipped.append("the Rust documentation: this toolchain has none (`rustup component add rust-docs`)")
        return []
    paths = [path for path in sorted(library.rglob("*.html")) if ITEM.fullmatch(path.name) and "arch" not in path.relative_to(library).parts]
    random.Random(seed).shuffle(paths)
    pages, texts = [], set()
    for path in paths:
        page = page_of(path)
        if page is None or page[1] in texts:
            continue
        texts.add(page[1])
        pages.append((path.relative_to(library).as_posix(), *page))
        if len(pages) == most:
            break
    asked = Counter(question for _, question, _ in pages)
    kept = [Page(name, text, question) for name, question, text in pages if asked[question] == 1]
    return [QuestionSet("rust", "en", kept)] if kept else []
