"""What Prometheus reads at /metrics: requests by route and status, and how long they took.

BentoML's own metrics take the raw path for a label: any caller could write into them, and grow them without bound.
"""

import os

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.multiprocess import MultiProcessCollector

REQUESTS = Counter("stance_requests", "Requests answered.", ["route", "status"])
SECONDS = Histogram("stance_request_seconds", "Time from the request to the end of its answer.", ["route"])

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4


def observe(route: str, status: int, seconds: float) -> None:
    """Count one answered request; `route` must be one of a bounded set."""
    REQUESTS.labels(route, str(status)).inc()
    SECONDS.labels(route).observe(seconds)


def rendered() -> bytes:
    """The metrics of all workers: BentoML gives them a folder in common."""
    registry = REGISTRY
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
