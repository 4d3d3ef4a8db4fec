"""What the scripts share: the server's address and keys, how they say what works, and what they ask for.

A script says `@ FEATURE ok`, or why not, for each feature; `cargo xtask clients` makes a table of it. The model that ships talks
nonsense, so what is checked are shapes, constrained outputs, and that the same request has the same answer.
"""

import contextlib
import importlib.metadata
import os
import sys
import traceback

URL = os.environ["RIAD_URL"]
BASE_URL = f"{URL}/v1"
KEY = os.environ["RIAD_KEY"]
# Of tenants that may send 20 requests a minute, and whose budget is spent with the first.
LIMITED_KEY = os.environ["RIAD_LIMITED_KEY"]
SPENT_KEY = os.environ["RIAD_SPENT_KEY"]
WRONG_KEY = "riad_sk_wrong"

MODEL = "riad-mini"
EMBEDDER = "static-256"
QUESTION = "What is the refund window of the Heron shop?"
CITIES = ["Bern", "Oslo"]
# Small enough that the model's context and a short answer have room for it, and the answer always ends.
WEATHER = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": CITIES}, "tomorrow": {"type": "boolean"}},
    "required": ["city", "tomorrow"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "weather", "description": "The weather of a city", "parameters": WEATHER}}

_failed = []


def version(package):
    print("@ version", importlib.metadata.version(package), flush=True)


@contextlib.contextmanager
def feature(name):
    """What is checked inside works, or the script fails, when it has checked the rest."""
    try:
        yield
    except Exception:
        traceback.print_exc()
        print(f"@ {name} failed", flush=True)
        _failed.append(name)
    else:
        print(f"@ {name} ok", flush=True)


def check_features(checks):
    for name, check in checks.items():
        with feature(name):
            check()


def lacks(name, why=""):
    print(f"@ {name} none {why}", flush=True)


def finish():
    sys.exit(1 if _failed else 0)


def expect(kind, call):
    """The error of this class that the call raises."""
    try:
        call()
    except kind as error:
        print(f"  {type(error).__name__}: {str(error)[:200]}", flush=True)
        return error
    raise AssertionError(f"expected {kind}")


def until_refused(kind, call):
    """Asks until the tenant's rate is spent; returns the error."""
    for _ in range(60):
        try:
            call()
        except kind as error:
            return error
    raise AssertionError("60 requests and no limit")


def check_weather(arguments):
    assert set(arguments) == {"city", "tomorrow"}, arguments
    assert arguments["city"] in CITIES and isinstance(arguments["tomorrow"], bool), arguments


def check_vectors(vectors):
    """Of "a lamp", "a light" and "the tax law of 1972"."""
    assert len(vectors) == 3 and all(len(vector) == 256 for vector in vectors), [len(vector) for vector in vectors]
    dot = lambda a, b: sum(x * y for x, y in zip(a, b))
    assert all(abs(dot(vector, vector) - 1) < 1e-3 for vector in vectors)
    assert dot(vectors[0], vectors[1]) > dot(vectors[0], vectors[2])


TEXTS = ["a lamp", "a light", "the tax law of 1972"]
