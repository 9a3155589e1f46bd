"""What Prometheus reads at /metrics: requests, the work of the model, and what it answers.

BentoML's own metrics take the raw path for a label: any caller could write into them, and grow them without bound.
"""

import os
from collections.abc import Sequence

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

REQUESTS = Counter("stance_requests", "Requests answered.", ["route", "status"])
SECONDS = Histogram("stance_request_seconds", "Time from the request to the end of its answer.", ["route"])
BATCH_PAIRS = Histogram("stance_batch_pairs", "Pairs in a batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128))
BATCH_SECONDS = Histogram("stance_batch_seconds", "Time of the model for a batch.")
TOKENS = Counter("stance_tokens", "Tokens computed.")
PADDING = Counter("stance_padding_tokens", "Tokens computed only to make the pairs of a batch equally long.")
WAITING = Gauge("stance_waiting_tokens", "Tokens that wait for the model.", multiprocess_mode="livesum")
ANSWERS = Counter("stance_answers", "Predictions by stance.", ["stance"])
CONFIDENCE = Histogram(
    "stance_confidence", "Best probability of the predictions.", buckets=[step / 20 for step in range(6, 21)]
)

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def observe(route: str, status: int, seconds: float) -> None:
    """Count one answered request; `route` must be one of a bounded set."""
    REQUESTS.labels(route, str(status)).inc()
    SECONDS.labels(route).observe(seconds)


def observe_batch(lengths: Sequence[int], seconds: float) -> None:
    """Record a computed batch of pairs with these numbers of tokens."""
    BATCH_PAIRS.observe(len(lengths))
    BATCH_SECONDS.observe(seconds)
    TOKENS.inc(sum(lengths))
    PADDING.inc(len(lengths) * max(lengths) - sum(lengths))


def observe_answer(stance: str, probability: float) -> None:
    """Record one prediction."""
    ANSWERS.labels(stance).inc()
    CONFIDENCE.observe(probability)


def rendered() -> bytes:
    """The metrics of all workers: BentoML gives them a folder in common."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
