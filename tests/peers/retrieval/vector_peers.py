"""Searches by vectors in this process. All get the vectors that the server's own embedder makes, of length 1."""

import os

# It warns of each search and each table.
os.environ.setdefault("LANCE_LOG", "error")

import apsw
import faiss
import lancedb
import numpy
import pyarrow
import sqlite_vec
from qdrant_client import QdrantClient, models

# As Riad's rooms have them: the expansion of a search grows with the index.
CONNECTIVITY = 16
EXPANSION_ADD = 128
EXPANSION_SEARCH = (256, 1024)
VECTORS_PER_EXPANSION = 100
# LanceDB makes no index of fewer.
LANCE_INDEX_MIN = 1000


class Exact:
    """Every vector is compared: what the others are measured by."""

    name = "exact"

    def __init__(self, vectors, texts, folder):
        self.vectors = vectors

    def search(self, vector, limit):
        scores = self.vectors @ vector
        limit = min(limit, len(scores))
        best = numpy.argpartition(-scores, limit - 1)[:limit]
        return best[numpy.argsort(-scores[best], kind="stable")].tolist()


class FaissHnsw:
    name = "FAISS HNSW"

    def __init__(self, vectors, texts, folder):
        self.index = faiss.IndexHNSWFlat(vectors.shape[1], CONNECTIVITY, faiss.METRIC_INNER_PRODUCT)
        self.index.hnsw.efConstruction = EXPANSION_ADD
        least, most = EXPANSION_SEARCH
        self.index.hnsw.efSearch = min(most, max(least, len(vectors) // VECTORS_PER_EXPANSION))
        self.index.add(vectors)

    def search(self, vector, limit):
        return [int(place) for place in self.index.search(vector[None, :], limit)[1][0] if place >= 0]


class Lance:
    """With its index IVF_HNSW_SQ and its own numbers; the text is in the table, for `LanceHybrid`."""

    name = "LanceDB"

    def __init__(self, vectors, texts, folder):
        self.folder = folder / "lance"
        values = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), vectors.shape[1])
        rows = pyarrow.table({"place": numpy.arange(len(vectors)), "vector": values, "text": texts})
        self.table = lancedb.connect(self.folder).create_table("pieces", rows, mode="overwrite")
        if len(vectors) >= LANCE_INDEX_MIN:
            self.table.create_index(metric="cosine", index_type="IVF_HNSW_SQ")

    def search(self, vector, limit):
        rows = self.table.search(vector).distance_type("cosine").limit(limit).select(["place"]).to_arrow()
        return rows["place"].to_pylist()


class LanceHybrid(Lance):
    """Its own words (BM25 over its index) and the vectors, fused with its own reciprocal ranks."""

    name = "LanceDB hybrid"

    def __init__(self, vectors, texts, folder):
        super().__init__(vectors, texts, folder)
        self.table.create_fts_index("text")

    def search_both(self, question, vector, limit):
        # A quotation mark would begin a phrase.
        text = question.replace('"', " ")
        rows = self.table.search(query_type="hybrid").vector(vector).text(text).distance_type("cosine").limit(limit).to_arrow()
        return rows["place"].to_pylist()


class QdrantLocal:
    """Its client's local mode, which compares every vector."""

    name = "Qdrant local"

    def __init__(self, vectors, texts, folder):
        self.client = QdrantClient(":memory:")
        space = models.VectorParams(size=vectors.shape[1], distance=models.Distance.COSINE)
        self.client.create_collection("pieces", vectors_config=space)
        self.client.upload_collection("pieces", vectors=vectors, ids=range(len(vectors)))

    def search(self, vector, limit):
        return [point.id for point in self.client.query_points("pieces", query=vector, limit=limit).points]


class SqliteVec:
    """It compares every vector."""

    name = "sqlite-vec"

    def __init__(self, vectors, texts, folder):
        self.database = apsw.Connection(":memory:")
        self.database.enable_load_extension(True)
        self.database.load_extension(sqlite_vec.loadable_path())
        self.database.execute(f"CREATE VIRTUAL TABLE pieces USING vec0 (vector float[{vectors.shape[1]}] distance_metric=cosine)")
        with self.database:
            rows = ((place, vector.tobytes()) for place, vector in enumerate(vectors))
            self.database.executemany("INSERT INTO pieces (rowid, vector) VALUES (?, ?)", rows)

    def search(self, vector, limit):
        rows = self.database.execute(
            "SELECT rowid FROM pieces WHERE vector MATCH ? AND k = ? ORDER BY distance", (vector.tobytes(), limit)
        )
        return [place for (place,) in rows]


PEERS = [FaissHnsw, Lance, QdrantLocal, SqliteVec]
