"""Part `models`: what a BERT and a cross-encoder find beside the static embedder that ships, each in a server of its own, and how long a
search takes. The models are those of `--bert` and `--reranker`, folders that whoever runs this has; what is not there is skipped.

Weights are tried on the open half of the questions, and everything is measured on the held-out half."""

import time

from quality import COLUMNS, WEIGHTS, riad, score, table

# For every question, so that the time bound of a busy machine does not decide what is measured.
PATIENT = {"RIAD_LIMITS__RERANK_MS": "600000"}


def servers(context):
    """By name: the settings of a server."""
    bert, reranker = context.arguments.bert, context.arguments.reranker
    found = {"static": {}}
    if bert:
        found["bert"] = {"RIAD_EMBEDDINGS__MODEL": str(bert)}
    else:
        context.skip("models: BERT, because --bert names no folder")
    if reranker:
        for name in list(found):
            found[f"{name} + rerank"] = {**found[name], "RIAD_SEARCH__RERANK_MODEL": str(reranker), **PATIENT}
    else:
        context.skip("models: reranking, because --reranker names no folder")
    return found


def run(context, report):
    asked_of = servers(context)
    if len(asked_of) == 1:
        return
    scored, tuned, times = {}, {}, {}
    for name, variables in asked_of.items():
        with context.server("models", variables) as server:
            for number, asked in enumerate(context.question_sets()):
                context.say(f"models: {name}, {asked.name}")
                room = server.room(f"set-{number}")
                places = {room.add(page.text)["id"]: place for place, page in enumerate(asked.pages)}
                held_out, opened = asked.questions(held_out=True), asked.questions(held_out=False)
                began = time.monotonic()
                scored[asked.name, f"{name}"] = score(asked, held_out, riad(room, places))
                times[asked.name, name] = (time.monotonic() - began) / max(1, len(held_out))
                if "RIAD_SEARCH__RERANK_MODEL" not in variables:
                    scored[asked.name, f"{name} vectors"] = score(asked, held_out, riad(room, places, 0, 1))
                    for weight in WEIGHTS:
                        tuned[asked.name, f"{name} {weight:g}"] = score(asked, opened, riad(room, places, 1, weight))
    sets = context.question_sets()
    report.heading("Models, held-out questions")
    report.text("Searches without options (words and vectors), and vectors alone. A row is a question set.")
    for measure, title in COLUMNS.items():
        report.heading(title, level=3)
        report.table(*table(rows(sets, scored, held_out=True), measure))
    report.heading("Models: seconds of one search", level=3)
    report.table(["set", *asked_of], [[asked.name, *(f"{times[asked.name, name]:.3f}" for name in asked_of)] for asked in sets])
    report.heading("Models: weight of the vectors, open questions", level=3)
    report.table(*table(rows(sets, tuned, held_out=False), "mrr"))


def rows(sets, found, held_out):
    return [
        (asked, len(asked.questions(held_out=held_out)), {name: measured for (of, name), measured in found.items() if of == asked.name})
        for asked in sets
    ]
