"""Capabilities over the fake host."""

import math
import unittest
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from riad_sdk import (
    InvalidRequest,
    Message,
    RiadError,
    clock,
    documents,
    embeddings,
    generation,
    http,
    kv,
    logging,
    model,
    random,
    settings,
    store,
)
from riad_sdk.testing import HttpAnswer, HttpRequest, fake_host


class Capabilities(unittest.TestCase):
    @contextmanager
    def refused(self, kind: str) -> Iterator[None]:
        with self.assertRaises(RiadError) as caught:
            yield
        self.assertEqual(caught.exception.kind, kind)

    def test_documents_are_searched_filtered_read_and_listed(self) -> None:
        many = [{"id": f"d{index:03}", "text": "noise"} for index in range(120)]
        drill = {"id": "drill", "text": "A red drill.\n\nA saw.", "metadata": {"year": 2026}}
        lamp = {"id": "lamp", "text": "A lamp, no drill.", "vector_store": "vs_1"}
        fake_host(documents=[*many, drill, lamp])
        self.assertEqual(documents.search("red drill")[0].document, "drill")
        self.assertEqual(documents.search("drill", filter={"year": 2025}), [])
        self.assertEqual(documents.search("drill", filter={"year": 2026})[0].metadata, {"year": 2026})
        self.assertEqual(documents.search_stores(["vs_1"], "drill")[0].document, "lamp")
        with self.refused("not_found"):
            documents.search_stores(["vs_2"], "drill")
        with self.refused("not_found"):
            documents.get("lamp")
        self.assertEqual(documents.get("drill").text, "A red drill.\n\nA saw.")
        self.assertEqual(len(list(documents.all_documents())), 121)
        self.assertEqual(documents.list_documents(after="d119")[0].chunks, 2)
        with self.refused("not_found"):
            documents.get("none")
        with self.refused("invalid_argument"):
            documents.search("drill", limit=0)
        with self.refused("invalid_argument"):
            documents.search("drill", limit=-1)

    def test_values_live_as_long_as_they_may(self) -> None:
        host = fake_host(kv={"mine/list": ["a"]})
        self.assertEqual(kv.get_json("mine/list"), ["a"])
        kv.set("mine/word", "Größe", seconds=60)
        self.assertEqual(kv.get_text("mine/word"), "Größe")
        self.assertEqual(kv.increment("mine/count", seconds=10), 1)
        self.assertEqual(kv.increment("mine/count", -3, seconds=99), -2)
        host.now_ms += 10_000
        self.assertEqual(kv.increment("mine/count", seconds=10), 1)
        host.now_ms += 50_000
        self.assertIsNone(kv.get("mine/word"))
        self.assertTrue(kv.delete("mine/list"))
        self.assertFalse(kv.delete("mine/list"))
        self.assertEqual(kv.get_json("mine/list", []), [])

    def test_values_have_bounds(self) -> None:
        fake_host()
        with self.refused("invalid_argument"):
            kv.set("", "x", seconds=1)
        with self.refused("invalid_argument"):
            kv.set("a", "x", seconds=0)
        with self.refused("limit_exceeded"):
            kv.set("a", bytes(65_537), seconds=1)
        wrong: Any = {"b": 1}
        with self.refused("invalid_argument"):
            kv.set("a", wrong, seconds=1)
        kv.set("a", "text", seconds=1)
        with self.refused("invalid_argument"):
            kv.increment("a", seconds=1)

    def test_rows_are_dictionaries_and_values_keep_their_kinds(self) -> None:
        fake_host(sql=["CREATE TABLE t (a, b, c, d, e)"])
        self.assertEqual(store.execute("INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5)", [True, 2.5, "x", None, b"\x01"]), 1)
        self.assertEqual(store.query("SELECT * FROM t"), [{"a": 1, "b": 2.5, "c": "x", "d": None, "e": b"\x01"}])
        self.assertEqual(store.query("SELECT a FROM t WHERE a = ?1", [7]), [])
        with self.refused("invalid_argument"):
            store.query("SELEC")
        with self.refused("invalid_argument"):
            store.query("SELECT ?1", [2**63])

    def test_the_model_answers_what_the_test_says(self) -> None:
        host = fake_host(generate=lambda messages, options: f"{messages[0].content} and more words")
        answer = generation.generate([Message("system", "one")], max_tokens=2, schema={"type": "string"})
        self.assertEqual((answer.text, answer.completion_tokens, answer.is_cut), ("one and", 2, True))
        self.assertEqual(host.generations[0][1]["schema"], {"type": "string"})
        with self.refused("invalid_argument"):
            generation.generate("one", max_tokens=0)
        with self.refused("invalid_argument"):
            generation.generate("one", stop=["a"] * 5)

    def test_a_test_lets_a_capability_fail_as_the_host_would(self) -> None:
        def fail(messages: Any, options: Any) -> str:
            raise RiadError("unavailable", "down")

        fake_host(generate=fail)
        with self.refused("unavailable"):
            generation.generate("one")

    def test_only_granted_hosts_are_reached(self) -> None:
        def answer(request: HttpRequest) -> HttpAnswer:
            if request.method == "DELETE":
                raise RiadError("timed_out", "")
            return HttpAnswer(201, {"Content-Type": "x"}, {"got": request.body.decode()})

        host = fake_host(http={"api.example": answer})
        response = http.send("https://api.example/orders", method="post", json={"id": 1})
        self.assertEqual((response.status, response.ok, response.headers), (201, True, {"content-type": "x"}))
        self.assertEqual(response.json(), {"got": '{"id": 1}'})
        self.assertEqual(host.requests[0].headers["content-type"], "application/json")
        for url, kind in (("https://other.example/", "not_granted"), ("http://api.example/", "not_granted"), ("x", "invalid_argument")):
            with self.refused(kind):
                http.send(url)
        with self.refused("timed_out"):
            http.send("https://api.example/", method="DELETE")
        with self.refused("invalid_argument"):
            http.send("https://api.example/", method="TRACE")

    def test_settings_the_log_the_clock_the_model_and_vectors(self) -> None:
        host = fake_host(settings={"limit": 3, "none": None}, now_ms=1_234)
        self.assertEqual((settings.get("limit"), settings.get("none", 1), settings.get("missing", "x")), (3, None, "x"))
        logging.warn("careful")
        self.assertEqual(host.logs, [("warn", "careful")])
        self.assertEqual(clock.now_ms(), 1_200)
        self.assertEqual(clock.now().isoformat(), "1970-01-01T00:00:01.200000+00:00")
        self.assertEqual(model.count_tokens("four words, unequally long"), 7)
        first, second, none = embeddings.embed(["red drill", "drill red", ""])
        self.assertEqual(first, second)
        self.assertAlmostEqual(math.hypot(*first), 1)
        self.assertEqual(math.hypot(*none), 0)

    def test_random_bytes_follow_from_the_seed(self) -> None:
        fake_host()
        first = random.random_uuid()
        self.assertEqual(first.version, 4)
        self.assertNotEqual(random.random_uuid(), first)
        fake_host()
        self.assertEqual(random.random_uuid(), first)
        fake_host(seed=2)
        self.assertNotEqual(random.random_uuid(), first)
        with self.refused("invalid_argument"):
            random.random_bytes(0)

    def test_an_invalid_request_is_no_error_of_the_host(self) -> None:
        self.assertFalse(issubclass(InvalidRequest, RiadError))


if __name__ == "__main__":
    unittest.main()
