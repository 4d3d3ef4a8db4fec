"""Searches by words: Tantivy and SQLite's FTS5, each as it comes, in this process. Questions become a disjunction of their words, as in Riad."""

import re

import apsw
import tantivy

TOKEN = re.compile(r"\w+")


class Tantivy:
    """BM25 with the default tokenizer: lower case, no stems. In one folder, or in memory."""

    name = "Tantivy"

    def __init__(self, folder=None):
        builder = tantivy.SchemaBuilder()
        builder.add_integer_field("place", stored=True)
        builder.add_text_field("text", stored=True)
        schema = builder.build()
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        self.index = tantivy.Index(schema, path=str(folder) if folder else None)
        self.writer = self.index.writer(num_threads=1)
        self.count = 0

    def add(self, texts):
        for text in texts:
            self.writer.add_document(tantivy.Document(place=self.count, text=text))
            self.count += 1
        self.writer.commit()

    def finish(self):
        self.writer.wait_merging_threads()
        self.index.reload()
        self.searcher = self.index.searcher()

    def search(self, question, limit):
        words = " ".join(TOKEN.findall(question.lower()))
        if not words:
            return []
        hits = self.searcher.search(self.index.parse_query(words, ["text"]), limit).hits
        return [self.searcher.doc(address)["place"][0] for _, address in hits]


class Fts5:
    """BM25 with the tokenizer unicode61, durable after each call of `add` as Riad's rooms are. In one file, or in memory."""

    name = "FTS5"

    def __init__(self, folder=None):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        self.path = str(folder / "words.db") if folder else ":memory:"
        self.open()
        for statement in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL", "CREATE VIRTUAL TABLE pieces USING fts5 (text)"]:
            list(self.database.execute(statement))
        self.count = 0

    def open(self):
        self.database = apsw.Connection(self.path)

    def add(self, texts):
        rows = [(self.count + place, text) for place, text in enumerate(texts)]
        with self.database:
            self.database.executemany("INSERT INTO pieces (rowid, text) VALUES (?, ?)", rows)
        self.count += len(rows)

    def finish(self):
        pass

    def search(self, question, limit):
        words = TOKEN.findall(question)
        if not words:
            return []
        expression = " OR ".join(f'"{word}"' for word in words)
        rows = self.database.execute("SELECT rowid, text FROM pieces WHERE pieces MATCH ? ORDER BY rank LIMIT ?", (expression, limit))
        return [place for place, _ in rows]


PEERS = [Tantivy, Fts5]
