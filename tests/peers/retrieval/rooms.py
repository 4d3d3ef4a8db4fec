"""Part `rooms`: a thousand rooms asked in rotation, what an idle open room costs in memory, and how long a cold room takes to answer."""

import apsw
import faiss
import lancedb
import numpy

import corpus
import measures
from riad import TITLE, Room
from vector_peers import FaissHnsw, LanceHybrid
from word_peers import TOKEN, Fts5

# Pieces of each room.
ROOM_PIECES = 10
COLD_CHUNKS = 10_000
COLD_ROUNDS = 5
FEW_OPEN = 64


def run(context, report):
    rotation(context, report)
    cold(context, report)


def rotation(context, report):
    count = context.arguments.rooms
    context.say(f"rooms: {count} in rotation")
    parts = corpus.piece_list(count * ROOM_PIECES)
    rows = []
    with context.server("rooms", {"RIAD_LIMITS__OPEN_ROOMS": str(count + FEW_OPEN)}) as server:
        rooms = []
        for number in range(count):
            room = server.room(f"room-{number}")
            own = parts[number * ROOM_PIECES : (number + 1) * ROOM_PIECES]
            room.add("\n\n".join(own))
            rooms.append((room.key, corpus.questions(own, 1, number)[0]))
            room.connection.http.close()
        server.restart()
        # A room that goes first pays for what the server needs once.
        warm = server.room("warm-up")
        warm.add(parts[0])
        warm.search("words")
        before = server.resident_bytes()
        first = asked(server, rooms)
        after = server.resident_bytes()
        rows.append(row("opened by the query", first))
        rows.append(row("all open", asked(server, rooms)))
        each = (after - before) / count / 1e6
        server.variables["RIAD_LIMITS__OPEN_ROOMS"] = str(FEW_OPEN)
        server.restart()
        asked(server, rooms[: 2 * FEW_OPEN])
        rows.append(row(f"at most {FEW_OPEN} open", asked(server, rooms)))
    report.heading("Many rooms")
    report.text(
        f"{count:,} rooms of {ROOM_PIECES} chunks, each asked once, in their order, milliseconds. Each query has a connection of its own, "
        "because each has another tenant's key; connecting is not counted."
    )
    report.table(["rooms", "p50", "p99"], rows)
    report.text(
        f"Memory: the server has {before / 1e6:.0f} MB before and {after / 1e6:.0f} MB after {count:,} rooms have been opened and asked once: "
        f"**{each:.2f} MB for each idle open room** (resident memory, with what connections and queries leave behind)."
    )


def asked(server, rooms):
    times = []
    for key, question in rooms:
        room = Room(server.address, key)
        times += measures.times_of(room.search, [question])
        room.connection.http.close()
    return times


def row(name, times):
    return [name, f"{measures.percentile(times, 50):.2f}", f"{measures.percentile(times, 99):.2f}"]


def cold(context, report):
    context.say(f"rooms: a cold room of {COLD_CHUNKS} chunks")
    parts = corpus.piece_list(COLD_CHUNKS)
    question = corpus.questions(parts, 1, context.seed)[0]
    taken = {"Riad": []}
    with context.server("cold") as server:
        room = server.room("cold")
        corpus.fill(room, parts)
        other = server.room("other")
        other.add(parts[0])
        vectors = context.vectors(room, [f"{TITLE}\n{piece}" for piece in parts])
        query = context.vectors(room, [question])[0]
        for _ in range(COLD_ROUNDS):
            server.restart()
            # Another room is asked first, so that it is the room that is cold and not the server.
            server.reopened(other).search(question)
            taken["Riad"] += measures.times_of(server.reopened(room).search, [question])
    taken |= cold_peers(context, parts, vectors, question, query)
    base = measures.percentile(taken["LanceDB hybrid"], 50)
    report.heading("A cold room")
    report.text(
        f"First answer of a room of {COLD_CHUNKS:,} chunks after the server was started again, or of a peer's files after they were opened "
        f"again, {COLD_ROUNDS} times, milliseconds. The files are in the system's cache. `ratio` is to LanceDB."
    )
    rows = []
    for name, times in taken.items():
        middle = measures.percentile(times, 50)
        rows.append([name, f"{middle:.1f}", f"{max(times):.1f}", f"{middle / base:.2f}"])
    report.table(["system", "p50", "worst", "ratio"], rows)


def cold_peers(context, parts, vectors, question, query):
    folder = context.fresh_folder("peers/cold")
    words = Fts5(folder / "words")
    words.add(parts)
    words.database.close()
    faiss.write_index(FaissHnsw(vectors, parts, None).index, str(folder / "vectors.faiss"))
    LanceHybrid(vectors, parts, folder)

    def by_words():
        database = apsw.Connection(words.path)
        expression = " OR ".join(f'"{word}"' for word in TOKEN.findall(question))
        list(database.execute("SELECT rowid, text FROM pieces WHERE pieces MATCH ? ORDER BY rank LIMIT 10", (expression,)))
        database.close()

    def by_vectors():
        faiss.read_index(str(folder / "vectors.faiss")).search(numpy.ascontiguousarray(query[None, :]), 10)

    def by_both():
        table = lancedb.connect(folder / "lance").open_table("pieces")
        search = table.search(query_type="hybrid").vector(query).text(question.replace('"', " "))
        search.distance_type("cosine").limit(10).to_arrow()

    calls = {"FTS5 (words)": by_words, "FAISS HNSW (vectors)": by_vectors, "LanceDB hybrid": by_both}
    return {name: [measures.timed(call)[1] * 1000 for _ in range(COLD_ROUNDS)] for name, call in calls.items()}
