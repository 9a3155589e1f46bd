import asyncio
import threading
import time

import numpy as np
import pytest

from serving.batcher import Batcher, Overloaded
from serving.classifier import BATCH_TOKENS
from serving.stance import claim

ASKED = claim("the town")
PLENTY = 1e9


class Recorder:
    """The real engine, with a note of every batch."""

    name = "torch"

    def __init__(self, engine, *, gate=None, poison=None):
        self.engine = engine
        self.batches = []
        self.gate = gate
        self.poison = poison

    def __call__(self, encodings):
        if self.gate is not None:
            assert self.gate.wait(timeout=30)
        self.batches.append([len(encoding) for encoding in encodings])
        if self.poison is not None and any(self.poison in encoding.ids for encoding in encodings):
            raise RuntimeError("poisoned")
        return self.engine(encodings)


def encoded(classifier, *sentences):
    return classifier.encode(list(sentences), [ASKED] * len(sentences)).encodings


async def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.001)


def test_every_request_gets_its_own_answers(tiny_classifier):
    sentences = [" ".join(["the army holds the town"] * (1 + k % 9) + ["near north"] * (k % 4)) for k in range(60)]
    requests = [sentences[k : k + 1 + k % 5] for k in range(60)]

    async def run():
        shared = Batcher(tiny_classifier.engine, PLENTY)
        return await asyncio.gather(*(shared.logits(encoded(tiny_classifier, *request)) for request in requests))

    for request, answer in zip(requests, asyncio.run(run()), strict=True):
        alone = tiny_classifier.logits(request, [ASKED] * len(request))
        np.testing.assert_allclose(answer, alone, atol=1e-5)


def test_requests_that_wait_share_batches_within_the_token_budget(tiny_classifier):
    async def run():
        gate = threading.Event()
        recorder = Recorder(tiny_classifier.engine, gate=gate)
        shared = Batcher(recorder, PLENTY)
        sentences = [" ".join(["town"] * (1 + k % 80)) for k in range(200)]
        tasks = [asyncio.create_task(shared.logits(encoded(tiny_classifier, text))) for text in sentences]
        await until(lambda: shared.waiting_tokens > 0)
        gate.set()
        await asyncio.gather(*tasks)
        assert shared.waiting_tokens == 0
        return recorder.batches

    batches = asyncio.run(run())
    assert sum(map(len, batches)) == 200
    assert len(batches) < 25
    assert all(len(batch) * max(batch) <= BATCH_TOKENS for batch in batches)
    padded = sum(len(batch) * max(batch) for batch in batches)
    assert padded < 1.25 * sum(map(sum, batches)), "batches are of like length"


def test_lone_request_does_not_wait(tiny_classifier):
    async def run():
        recorder = Recorder(tiny_classifier.engine)
        await Batcher(recorder, PLENTY).logits(encoded(tiny_classifier, "it fell"))
        return recorder.batches

    assert len(asyncio.run(run())) == 1


def test_short_request_is_not_held_up_by_a_long_one(tiny_classifier):
    async def run():
        shared = Batcher(Recorder(tiny_classifier.engine), PLENTY)
        long = [" ".join(["the town"] * 40) + f" {'army ' * (k % 3)}" for k in range(400)]
        slow = asyncio.create_task(
            shared.logits(encoded(tiny_classifier, *[f"{text} x{k}" for k, text in enumerate(long)]))
        )
        await until(lambda: shared.waiting_tokens > 0)
        await shared.logits(encoded(tiny_classifier, "it fell"))
        assert not slow.done()
        await slow

    asyncio.run(run())


def test_failing_window_fails_its_own_request_alone(tiny_classifier):
    (poisoned,) = encoded(tiny_classifier, "the governor fell")
    recorder = Recorder(tiny_classifier.engine, poison=poisoned.ids[2])

    async def run():
        shared = Batcher(recorder, PLENTY)
        sentences = ["the army holds the town", "the governor fell", "the rebels hold the town"]
        requests = (shared.logits(encoded(tiny_classifier, text)) for text in sentences)
        return await asyncio.gather(*requests, return_exceptions=True)

    first, second, third = asyncio.run(run())
    assert len(recorder.batches[0]) == 3, "they were computed together"
    assert isinstance(second, RuntimeError)
    assert first.shape == third.shape == (1, 4)


def test_cancelled_request_is_not_computed_any_further(tiny_classifier):
    async def run():
        gate = threading.Event()
        recorder = Recorder(tiny_classifier.engine, gate=gate)
        shared = Batcher(recorder, PLENTY)
        blocking = asyncio.create_task(shared.logits(encoded(tiny_classifier, "it fell")))
        await asyncio.sleep(0)
        windows = encoded(tiny_classifier, "the town fell " * 20)
        cancelled = asyncio.create_task(shared.logits(windows))
        await until(lambda: shared.waiting_tokens > 0)
        cancelled.cancel()
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        assert shared.waiting_tokens == 0
        gate.set()
        await blocking
        assert recorder.batches == [[len(encoded(tiny_classifier, "it fell")[0])]]

    asyncio.run(run())


def test_more_than_may_wait_is_sent_away(tiny_classifier):

    async def run():
        gate = threading.Event()
        shared = Batcher(Recorder(tiny_classifier.engine, gate=gate), 20)
        tasks = [asyncio.create_task(shared.logits(encoded(tiny_classifier, "the town fell"))) for _ in range(20)]
        await until(lambda: any(task.done() for task in tasks))
        gate.set()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Overloaded)]
        assert refused
        assert len(refused) < len(answers)
        assert (await shared.logits(encoded(tiny_classifier, "the town fell"))).shape == (1, 4)

    asyncio.run(run())


def test_nothing_asked_is_nothing_answered(tiny_classifier):
    assert asyncio.run(Batcher(tiny_classifier.engine, PLENTY).logits([])).shape == (0, 4)
