"""The benchmark of retrieval, run by `cargo xtask bench retrieval`: a server of its own, question sets, peers, and the report.

    python bench.py --riad PROGRAM --work FOLDER [--rust-docs FOLDER] [--parts quality,models,index,speed,rooms] [--sizes 1000,10000,100000]
"""

import argparse
import importlib
import os
import shutil
import sys
from pathlib import Path

import numpy

import man_pages
import rust_docs
from report import Report
from riad import Server

# It warns at each search.
os.environ.setdefault("LANCE_LOG", "error")

PARTS = ["quality", "models", "index", "speed", "rooms"]
USUAL = {"parts": PARTS, "sizes": [1000, 10000, 100000], "pages": 1500, "rooms": 1000, "seed": 1}
REPORT = Path(__file__).with_name("REPORT.md")


class Context:
    """What the parts share."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.seed = arguments.seed
        self.sizes = arguments.sizes
        self.skipped = []
        self.sets = None

    def say(self, line):
        print(f"== {line}", file=sys.stderr, flush=True)

    def skip(self, line):
        self.say(f"SKIPPED {line}")
        self.skipped.append(line)

    def server(self, name, variables=None):
        return Server(self.arguments.riad, self.arguments.work / "servers" / name, variables)

    def fresh_folder(self, name):
        folder = self.arguments.work / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def question_sets(self):
        if self.sets is None:
            self.say("question sets")
            skipped = []
            most = self.arguments.pages
            self.sets = rust_docs.question_sets(self.arguments.rust_docs, most, self.seed, skipped)
            self.sets += man_pages.question_sets(most, self.seed, skipped)
            for line in skipped:
                self.skip(line)
        return self.sets

    def vectors(self, room, texts):
        """Of length 1, as the server's index has them."""
        made = numpy.array(room.embed(texts), dtype=numpy.float32)
        lengths = numpy.linalg.norm(made, axis=1, keepdims=True)
        return numpy.ascontiguousarray(made / numpy.maximum(lengths, 1e-12))


def numbers(text):
    return [int(number) for number in text.split(",")]


def read_arguments():
    parser = argparse.ArgumentParser(description="Retrieval beside its peers", allow_abbrev=False)
    parser.add_argument("--riad", type=Path, required=True, help="the server's program")
    parser.add_argument("--work", type=Path, required=True, help="a folder for data that is removed again")
    parser.add_argument("--rust-docs", type=Path, help="share/doc/rust of a toolchain")
    parser.add_argument("--bert", type=Path, help="a sentence-transformers folder of a BERT")
    parser.add_argument("--reranker", type=Path, help="the folder of a cross-encoder")
    parser.add_argument("--parts", type=lambda text: text.split(","), default=USUAL["parts"])
    parser.add_argument("--sizes", type=numbers, default=USUAL["sizes"], help="chunks of one room")
    parser.add_argument("--pages", type=int, default=USUAL["pages"], help="most pages of a question set")
    parser.add_argument("--rooms", type=int, default=USUAL["rooms"], help="rooms in rotation")
    parser.add_argument("--seed", type=int, default=USUAL["seed"])
    parser.add_argument("--note", help="a sentence for the report, such as what else ran on the machine")
    parser.add_argument("--report", type=Path, default=REPORT)
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    arguments.bert, arguments.reranker = (folder and folder.resolve() for folder in (arguments.bert, arguments.reranker))
    arguments.riad, arguments.work = arguments.riad.resolve(), arguments.work.resolve()
    return arguments


def command(arguments):
    """What makes the same report again."""
    changed = []
    for name, usual in USUAL.items():
        given = getattr(arguments, name)
        if given != usual:
            changed.append(f"--{name} {','.join(map(str, given)) if isinstance(given, list) else given}")
    return " ".join(["cargo xtask bench retrieval", *(["--", *changed] if changed else [])])


def main():
    arguments = read_arguments()
    context, report = Context(arguments), Report()
    version = context.server("version").version()
    context.skipped += [f"part {part}: not asked for" for part in PARTS if part not in arguments.parts]
    for part in PARTS:
        if part in arguments.parts:
            # Here, so that a part alone needs only its own packages.
            importlib.import_module(part).run(context, report)
            # After each, so that the next one's failure loses nothing.
            report.write(arguments.report, command(arguments), arguments.seed, version, context.skipped, arguments.note)
    context.say(f"{arguments.report.name} is written")


if __name__ == "__main__":
    main()
