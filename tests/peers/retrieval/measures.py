"""What is computed of results and times. A question has one right page."""

import math
import time

DEPTH = 10


def rank_of(right, found):
    """From 1; `None` if it is not among the first ten."""
    return found.index(right) + 1 if right in found[:DEPTH] else None


def distinct(values):
    return list(dict.fromkeys(values))


def scores(ranks):
    """Recall@10, MRR and nDCG@10: with one right page the ideal gain is 1."""
    count = len(ranks) or 1
    hits = [rank for rank in ranks if rank]
    return {
        "recall": len(hits) / count,
        "mrr": sum(1 / rank for rank in hits) / count,
        "ndcg": sum(1 / math.log2(1 + rank) for rank in hits) / count,
    }


def percentile(values, percent):
    """The nearest rank, no mean of two."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, math.ceil(len(ordered) * percent / 100) - 1))]


def timed(call, *arguments):
    begun = time.perf_counter()
    result = call(*arguments)
    return result, time.perf_counter() - begun


def times_of(call, values):
    """Milliseconds of a call with each of the values, in their order."""
    return [timed(call, value)[1] * 1000 for value in values]
