"""Shares the model among requests: what waits is computed in batches of like length, whoever sent it.

Nothing waits for a batch to fill: the model takes what is there as soon as it is free. Requests take turns, so that a
short one is not held up by a long one, and a request that is cancelled is not computed any further.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from tokenizers import Encoding

from serving.classifier import BATCH_TOKENS
from serving.engine import Engine
from serving.metrics import WAITING, observe_batch
from serving.stance import STANCES

MAX_CANDIDATES = 512
"""Waiting windows that are looked through for one batch."""


class Overloaded(Exception):
    """Too much is waiting already."""


class _Job:
    """One request: its windows, the longest last, and where their logits go."""

    def __init__(self, encodings: Sequence[Encoding]) -> None:
        self.encodings = encodings
        self.waiting = sorted(range(len(encodings)), key=lambda index: len(encodings[index]))
        self.unanswered = len(encodings)
        self.logits = np.zeros((len(encodings), len(STANCES)))
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


_Batch = list[tuple[_Job, int]]
"""Windows by job and index."""


class Batcher:
    """Calls the engine in a thread of its own, one batch at a time."""

    def __init__(self, engine: Engine, max_waiting_tokens: float) -> None:
        """Take over `engine`, which nobody else may call; a request that finds more tokens waiting is sent away."""
        self._engine = engine
        self._max_waiting_tokens = max_waiting_tokens
        self._thread = ThreadPoolExecutor(1, "model")
        self._jobs: deque[_Job] = deque()
        self._worker: asyncio.Task[None] | None = None
        self.waiting_tokens = 0

    async def logits(self, encodings: Sequence[Encoding]) -> NDArray[np.float64]:
        """(n, 4) logits of n encoded pairs. Raises Overloaded, or what the engine raised on one of them."""
        if self.waiting_tokens > self._max_waiting_tokens:
            raise Overloaded
        job = _Job(encodings)
        if not job.waiting:
            return job.logits
        self._jobs.append(job)
        self.waiting_tokens += sum(map(len, encodings))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        try:
            await job.done
        finally:
            self._drop(job)
        return job.logits

    async def _work(self) -> None:
        while self._jobs:
            batch = self._next_batch()
            WAITING.set(self.waiting_tokens)
            await self._answer(batch)

    async def _answer(self, batch: _Batch) -> None:
        """Compute a batch; where that fails, each window alone: only the request whose window fails is failed."""
        try:
            logits = await asyncio.get_running_loop().run_in_executor(self._thread, self._compute, _encodings(batch))
        except Exception as error:
            if len(batch) > 1:
                for window in batch:
                    await self._answer([window])
                return
            ((job, _),) = batch
            if not job.done.done():
                job.done.set_exception(error)
        else:
            _deliver(batch, logits)

    def _compute(self, encodings: list[Encoding]) -> NDArray[np.float64]:
        begun = time.perf_counter()
        logits = self._engine(encodings)
        observe_batch([len(encoding) for encoding in encodings], time.perf_counter() - begun)
        return logits

    def _next_batch(self) -> _Batch:
        """The longest window of the request whose turn it is, and those that are nearest to it in length."""
        first = self._jobs[0]
        self._jobs.rotate(-1)
        anchor = len(first.encodings[first.waiting[-1]])
        turns = (first, *(job for job in self._jobs if job is not first))
        candidates = list(islice(((job, index) for job in turns for index in reversed(job.waiting)), MAX_CANDIDATES))
        candidates.sort(key=lambda window: abs(_length(window) - anchor))
        batch: _Batch = []
        longest = 0
        for window in candidates:
            longest = max(longest, _length(window))
            if batch and (len(batch) + 1) * longest > BATCH_TOKENS:
                break
            batch.append(window)
        self._take(batch)
        return batch

    def _take(self, batch: _Batch) -> None:
        for job, index in batch:
            job.waiting.remove(index)
        self.waiting_tokens -= sum(map(_length, batch))
        self._jobs = deque(job for job in self._jobs if job.waiting)

    def _drop(self, job: _Job) -> None:
        """Forget what still waits of a request that is over."""
        self.waiting_tokens -= sum(len(job.encodings[index]) for index in job.waiting)
        job.waiting.clear()
        if job in self._jobs:
            self._jobs.remove(job)


def _length(window: tuple[_Job, int]) -> int:
    job, index = window
    return len(job.encodings[index])


def _encodings(batch: _Batch) -> list[Encoding]:
    return [job.encodings[index] for job, index in batch]


def _deliver(batch: _Batch, logits: NDArray[np.float64]) -> None:
    for (job, index), row in zip(batch, logits, strict=True):
        job.logits[index] = row
        job.unanswered -= 1
        if not job.unanswered and not job.done.done():
            job.done.set_result(None)
