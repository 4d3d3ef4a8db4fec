"""Part `speed`: writing (`ingest`), and queries of one room at several sizes beside peers. Not here: many rooms (`rooms`)."""

import corpus
import ingest
import measures
from riad import TITLE
from vector_peers import FaissHnsw, LanceHybrid, QdrantLocal, SqliteVec
from word_peers import Fts5, Tantivy

QUERIES = 300
WARM_UP = 20
LIMIT = 10
# As in `index`: these compare every vector, and hundreds of times that would take minutes.
EXACT_PEERS_MAX = 10_000
BASE = "LanceDB hybrid"


def run(context, report):
    with context.server("speed") as server:
        ingest.run(context, server, report)
        has_weights = server.room("weights").takes_weights()
        if not has_weights:
            context.skip("queries by words alone and by vectors alone in Riad: this server takes no weights with a search")
        report.heading("Queries of one room")
        report.text(
            f"{QUERIES} queries of {corpus.QUESTION_WORDS} words for {LIMIT} passages, one after the other, milliseconds. `HTTP` is the same "
            "search in a room without documents: connection, key, embedding of the query, ledger. The peers get the query's vector for "
            f"nothing, and no HTTP. `ratio` is a p50 over that of {BASE}, which searches words and vectors, too."
        )
        rows = []
        for size in context.sizes:
            context.say(f"speed: queries of {size} chunks")
            times, filled = measured(context, server, size, has_weights)
            base = measures.percentile(times[BASE], 50)
            for name, taken in times.items():
                middle = measures.percentile(taken, 50)
                rows.append([f"{size:,}", name, f"{middle:.2f}", f"{measures.percentile(taken, 99):.2f}", f"{middle / base:.2f}"])
            report_fill(report, size, filled)
        report.table(["chunks", "search", "p50", "p99", "ratio"], rows)


def report_fill(report, size, filled):
    megabytes, seconds = filled
    report.text(f"{size:,} chunks came in documents of {corpus.DOCUMENT_PIECES}: {megabytes / seconds:.2f} MB/s, {size / seconds:.0f} chunks/s.")


def measured(context, server, size, has_weights):
    parts = corpus.piece_list(size)
    asked = corpus.questions(parts, QUERIES + WARM_UP, context.seed)
    room, empty = server.room(f"room-{size}"), server.room(f"empty-{size}")
    _, seconds = corpus.fill(room, parts)
    filled = sum(len(piece.encode()) for piece in parts) / 1e6, sum(seconds)

    def times(search, values=asked):
        return measures.times_of(search, values)[WARM_UP:]

    taken = {"Riad hybrid": times(lambda question: room.search(question, LIMIT))}
    if has_weights:
        taken["Riad words"] = times(lambda question: room.search(question, LIMIT, 1, 0))
        taken["Riad vectors"] = times(lambda question: room.search(question, LIMIT, 0, 1))
    taken["HTTP (an empty room)"] = times(lambda question: empty.search(question, LIMIT))
    for kind in (Fts5, Tantivy):
        made = kind(context.fresh_folder(f"peers/{kind.__name__}"))
        made.add(parts)
        made.finish()
        taken[made.name] = times(lambda question, made=made: made.search(question, LIMIT))
    vectors = context.vectors(room, [f"{TITLE}\n{piece}" for piece in parts])
    queries = context.vectors(room, asked)
    for kind in (FaissHnsw, QdrantLocal, SqliteVec, LanceHybrid):
        if kind in (QdrantLocal, SqliteVec) and size > EXACT_PEERS_MAX:
            continue
        made = kind(vectors, parts, context.fresh_folder(f"peers/{kind.__name__}"))
        if kind is LanceHybrid:
            taken["LanceDB vectors"] = times(lambda query, made=made: made.search(query, LIMIT), queries)
            taken[BASE] = times(lambda pair, made=made: made.search_both(*pair, LIMIT), list(zip(asked, queries)))
        else:
            taken[made.name] = times(lambda query, made=made: made.search(query, LIMIT), queries)
    return taken, filled
