"""Part `index`: of the ten nearest vectors by exact search, how many an index finds. Riad is asked over HTTP with a weight of 0 for words."""

import corpus
from riad import TITLE
from vector_peers import Exact, FaissHnsw, Lance, QdrantLocal, SqliteVec

QUERIES = 200
NEAREST = 10
# Qdrant's local mode and sqlite-vec compare every vector, and take their time for it.
EXACT_PEERS_MAX = 10_000
# Two vectors this near in cosine are equally good: an index may keep 16 bits of a number.
TOLERANCE = 1e-3


def run(context, report):
    rows = []
    with context.server("index") as server:
        if not server.room("probe").takes_weights():
            context.skip("index: this server takes no weights with a search, so that its vectors cannot be asked alone")
            return
        for size in context.sizes:
            context.say(f"index: {size} vectors")
            rows.append([f"{size:,}", *recalls(context, server.room(f"vectors-{size}"), size)])
    report.heading("Index: recall@10 of exact search")
    report.text(
        f"{QUERIES} queries of {corpus.QUESTION_WORDS} words. A vector that is as near as the tenth one (cosine within {TOLERANCE}) counts. "
        "Riad and FAISS have a connectivity of 16 and expansions of 128 for adding and, growing with the index, 256 to 1,024 for searching, LanceDB its defaults (IVF_HNSW_SQ). A room compares all "
        f"vectors of a small index. Qdrant's local mode and sqlite-vec compare all vectors and are asked up to {EXACT_PEERS_MAX:,}."
    )
    report.table(["vectors", "Riad", FaissHnsw.name, Lance.name, QdrantLocal.name, SqliteVec.name], rows)


def recalls(context, room, size):
    parts = corpus.piece_list(size)
    starts, _ = corpus.fill(room, parts)
    vectors = context.vectors(room, [f"{TITLE}\n{piece}" for piece in parts])
    asked = corpus.questions(parts, QUERIES, context.seed)
    queries = context.vectors(room, asked)
    exact = Exact(vectors, parts, None)
    # The lowest cosine that is among the nearest.
    least = [float(vectors[exact.search(query, NEAREST)[-1]] @ query) - TOLERANCE for query in queries]

    def recall(search):
        found = 0
        for place, query in enumerate(queries):
            hits = search(place)[:NEAREST]
            found += sum(float(vectors[hit] @ query) >= least[place] for hit in hits)
        return f"{found / (NEAREST * len(queries)):.4f}"

    def riad(place):
        return [starts[document] + chunk for document, chunk in room.search(asked[place], NEAREST, 0, 1)]

    cells = [recall(riad)]
    for peer in (FaissHnsw, Lance, QdrantLocal, SqliteVec):
        if peer in (QdrantLocal, SqliteVec) and size > EXACT_PEERS_MAX:
            cells.append("–")
            continue
        made = peer(vectors, parts, context.fresh_folder(f"peers/{peer.__name__}"))
        cells.append(recall(lambda place, made=made: made.search(queries[place], NEAREST)))
    return cells
