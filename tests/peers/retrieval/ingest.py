"""The half of part `speed` that writes: documents by one client and by four, and how soon a search finds one."""

import threading
import time

import corpus
import measures
from riad import Room
from word_peers import Fts5, Tantivy

PAGES = 600
CLIENTS = [1, 4]
SEARCHED = 50
# Bytes of a file; the greatest is nearly what limits.document_bytes allows. Of each so many that they have the same bytes together.
LARGE = [100_000, 1_000_000, 8_000_000]
LARGE_BYTES = 16_000_000
LARGE_CLIENTS = [1, 2]


def run(context, server, report):
    context.say(f"speed: ingest of {PAGES} pages")
    pages = corpus.page_list(PAGES)
    size = sum(len(page.encode()) for page in pages)
    taken = {f"Riad, {clients} client{'s' if clients > 1 else ''}": riad(server, clients, pages) for clients in CLIENTS}
    taken["FTS5, a transaction a page"] = peer(context, Fts5, [[page] for page in pages])
    taken["Tantivy, one commit"] = peer(context, Tantivy, [pages])
    base = taken["FTS5, a transaction a page"]
    report.heading("Ingest")
    report.text(
        f"{PAGES} manual pages, {size / len(pages) / 1000:.1f} kB each in the mean. Riad extracts nothing from them, but cuts, embeds and "
        "indexes them in its sandbox and worker threads, and answers when they are durable and found; the peers store words only, Tantivy "
        "not durably before the end. The ratio is to FTS5's rate."
    )
    rows = [[name, f"{size / 1e6 / seconds:.2f}", f"{len(pages) / seconds:.0f}", f"{base / seconds:.3f}"] for name, seconds in taken.items()]
    report.table(["writer", "MB/s", "documents/s", "ratio"], rows)
    large(context, server, report)
    soon, found = searchable(server, pages)
    report.text(
        f"Time from sending a page to a search that finds it, {SEARCHED} pages: p50 {measures.percentile(soon, 50):.1f} ms, p99 "
        f"{measures.percentile(soon, 99):.1f} ms. The first search after the answer found {found} of {SEARCHED}."
    )


def large(context, server, report):
    context.say(f"speed: ingest of {LARGE_BYTES / 1e6:.0f} MB in large files")
    text = corpus.long_text(LARGE_BYTES)
    cut = {f"{size / 1e6:g} MB": [text[at : at + size] for at in range(0, len(text), size)] for size in LARGE}
    line = " ".join(text.split())
    cut[f"{LARGE[-1] / 1e6:g} MB, no line ends"] = [line[at : at + LARGE[-1]] for at in range(0, len(line), LARGE[-1])]
    rows = []
    for place, (name, documents) in enumerate(cut.items()):
        size = sum(len(document) for document in documents)
        rates = [size / 1e6 / riad(server, clients, documents, f"large-{place}", Room.add_file) for clients in LARGE_CLIENTS]
        rows.append([name, *(f"{rate:.2f}" for rate in rates)])
    report.text(f"Plain text of {LARGE_BYTES / 1e6:.0f} MB in files of so many bytes, MB/s, each row in rooms of its own:")
    report.table(["file", *(f"{clients} client{'s' if clients > 1 else ''}" for clients in LARGE_CLIENTS)], rows)


def riad(server, clients, pages, name="ingest", add=Room.add):
    room = server.room(f"{name}-{clients}")
    queue, lock, failed = iter(pages), threading.Lock(), []

    def work():
        client = room.again()
        while True:
            with lock:
                page = next(queue, None)
            if page is None:
                return
            try:
                add(client, page)
            except Exception as error:
                failed.append(error)
                return

    threads = [threading.Thread(target=work) for _ in range(clients)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    return time.perf_counter() - begun


def peer(context, kind, batches):
    made = kind(context.fresh_folder(f"peers/{kind.__name__}"))
    begun = time.perf_counter()
    for batch in batches:
        made.add(batch)
    made.finish()
    return time.perf_counter() - begun


def searchable(server, pages):
    room, times, found = server.room("searchable"), [], 0
    for place, page in enumerate(pages[:SEARCHED]):
        mark = f"xqmark{place}z"
        begun = time.perf_counter()
        made = room.add(f"{page}\n\n{mark}")
        hits = room.search(mark)
        times.append((time.perf_counter() - begun) * 1000)
        found += any(document == made["id"] for document, _ in hits)
    return times, found
