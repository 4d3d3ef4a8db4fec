"""Part `quality`: what is found. Each set is a room of its own; the pages come as plain text with the same title each.

Weights are tried on the open half of the questions, and everything is measured on the held-out half."""

import numpy

import measures
import word_peers
from question_set import pieces
from riad import TITLE
from vector_peers import PEERS, Exact, LanceHybrid

# Passages that are asked for: several of them may be of one page.
PASSAGES = 50
WEIGHTS = [0, 0.1, 0.2, 0.3, 0.5, 1]
COLUMNS = {"recall": "Recall@10", "mrr": "MRR", "ndcg": "nDCG@10"}


def run(context, report):
    rows, tuned = [], []
    with context.server("quality") as server:
        for number, asked in enumerate(context.question_sets()):
            context.say(f"quality: {asked.name}, {len(asked.pages)} pages")
            room = server.room(f"set-{number}")
            places = {room.add(page.text)["id"]: place for place, page in enumerate(asked.pages)}
            has_weights = room.takes_weights()
            held_out = asked.questions(held_out=True)
            systems = riad_systems(room, places, has_weights)
            systems |= peers(context, room, asked)
            rows.append((asked, len(held_out), {name: score(asked, held_out, search) for name, search in systems.items()}))
            if has_weights:
                opened = asked.questions(held_out=False)
                by_weight = {f"{weight:g}": score(asked, opened, riad(room, places, 1, weight)) for weight in WEIGHTS}
                by_weight["vectors alone"] = score(asked, opened, riad(room, places, 0, 1))
                tuned.append((asked, len(opened), by_weight))
    if not rows:
        return
    if not tuned:
        context.skip("quality of words alone and of vectors alone in Riad: this server takes no weights with a search")
    report.heading("Quality, held-out questions")
    report.text(
        "A row is a question set in a room of its own. In Riad, `hybrid` is a search without options, `words` and `vectors` one with a "
        "weight of 0 for the other list. Peers search pieces of the same pages, cut at paragraphs (at most 1,000 characters), with the "
        "vectors of the server's embedder; FAISS and LanceDB search their index, Qdrant and sqlite-vec compare all vectors. The best of "
        "a row is bold. One question more or less is 1 ÷ questions."
    )
    for measure, title in COLUMNS.items():
        report.heading(title, level=3)
        report.table(*table(rows, measure))
    if tuned:
        report.heading("Weight of the vectors, open questions")
        report.text("Hybrid in Riad with words at 1 and vectors at the weight of the column; 0 is words alone. Here a weight may be chosen.")
        for measure in ("recall", "mrr"):
            report.heading(COLUMNS[measure], level=3)
            report.table(*table(tuned, measure))


def riad(room, places, words=None, vectors=None):
    def search(question):
        return [places[document] for document, _ in room.search(question, PASSAGES, words, vectors)]

    return search


def riad_systems(room, places, has_weights):
    systems = {"Riad hybrid": riad(room, places)}
    if has_weights:
        systems["Riad words"] = riad(room, places, 1, 0)
        systems["Riad vectors"] = riad(room, places, 0, 1)
    return systems


def peers(context, room, asked):
    cut = [(place, piece) for place, page in enumerate(asked.pages) for piece in pieces(page.text)]
    page_of, texts = [place for place, _ in cut], [piece for _, piece in cut]
    # As the server embeds a chunk: below its title.
    vectors = context.vectors(room, [f"{TITLE}\n{piece}" for piece in texts])
    questions = [page.question for page in asked.pages]
    asked_vectors = dict(zip(questions, context.vectors(room, questions)))
    limit = min(PASSAGES, len(texts))
    systems = {}
    for peer in word_peers.PEERS:
        made = peer()
        made.add(texts)
        made.finish()
        systems[made.name] = lambda question, made=made: [page_of[piece] for piece in made.search(question, limit)]
    for peer in [Exact, *PEERS, LanceHybrid]:
        made = peer(vectors, texts, context.fresh_folder(f"peers/{peer.__name__}"))

        def search(question, made=made):
            vector = numpy.ascontiguousarray(asked_vectors[question])
            both = isinstance(made, LanceHybrid)
            found = made.search_both(question, vector, limit) if both else made.search(vector, limit)
            return [page_of[piece] for piece in found]

        systems[made.name] = search
    return systems


def score(asked, places, search):
    found = ((place, measures.distinct(search(asked.pages[place].question))) for place in places)
    return measures.scores([measures.rank_of(place, pages) for place, pages in found])


def table(rows, measure):
    systems = list(rows[0][2])
    lines = []
    for asked, questions, scored in rows:
        values = [scored[system][measure] for system in systems]
        cells = [f"**{value:.3f}**" if value == max(values) else f"{value:.3f}" for value in values]
        lines.append([asked.name, str(len(asked.pages)), str(questions), *cells])
    return ["set", "pages", "questions", *systems], lines
