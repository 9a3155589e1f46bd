"""What the boundary does by itself when the application behind it is slow, fails, or the caller leaves."""

import asyncio

import httpx
import pytest
from starlette.responses import JSONResponse

from serving import boundary
from serving.boundary import Boundary

GOOD = {"items": [{"sentence": "The town has fallen."}]}


class PanicError(BaseException):
    """What a library written in Rust raises: no Exception."""


def post(app, requests=1):
    """The answers of `app`, behind a boundary, to requests that come at once."""

    async def run():
        transport = httpx.ASGITransport(Boundary(app, api_keys=(), max_body_bytes=1000), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await asyncio.gather(*(client.post("/classify", json=GOOD) for _ in range(requests)))

    return asyncio.run(run())


async def slow(scope, receive, send):
    await asyncio.sleep(0.2)
    await JSONResponse({"body": (await receive())["body"].decode()})(scope, receive, send)


def error_type(answer):
    assert set(answer.json()) == {"error", "error_type", "details"}
    return answer.json()["error_type"]


def test_good_request_comes_through_whole():
    (answer,) = post(slow)
    assert answer.status_code == 200
    assert "The town has fallen." in answer.json()["body"]


def test_more_than_a_worker_holds_are_told_to_wait(monkeypatch):
    monkeypatch.setattr(boundary, "MAX_WAITING", 2)
    answers = post(slow, requests=5)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429, 429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert error_type(refused) == "overloaded"
    assert int(refused.headers["retry-after"]) >= 1


def test_request_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(boundary, "REQUEST_SECONDS", 0.05)
    (answer,) = post(slow)
    assert answer.status_code == 504
    assert error_type(answer) == "timeout"


@pytest.mark.parametrize("error", [RuntimeError, PanicError])
def test_failure_is_answered_in_the_one_shape_and_raised_for_the_log(error):
    async def failing(scope, receive, send):
        raise error

    sent = []

    async def run():
        body = {"type": "http.request", "body": b'{"items": [{"sentence": "It fell."}]}', "more_body": False}

        async def receive():
            return body

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/classify", "headers": []}
        await Boundary(failing, api_keys=(), max_body_bytes=1000)(scope, receive, send)

    with pytest.raises(error):
        asyncio.run(run())
    assert sent[0]["status"] == 500
    assert b'"error_type":"internal"' in sent[1]["body"]


def test_caller_who_leaves_ends_the_request():
    sent = []

    async def run():
        messages = [{"type": "http.request", "body": b'{"it', "more_body": True}, {"type": "http.disconnect"}]

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message["type"])

        scope = {"type": "http", "method": "POST", "path": "/classify", "headers": []}
        await Boundary(slow, api_keys=(), max_body_bytes=1000)(scope, receive, send)

    asyncio.run(run())
    assert sent == ["http.response.start", "http.response.body"]


def test_websocket_is_closed():
    sent = []

    async def run():
        async def send(message):
            sent.append(message)

        await Boundary(slow, api_keys=(), max_body_bytes=1000)({"type": "websocket"}, None, send)

    asyncio.run(run())
    assert [message["type"] for message in sent] == ["websocket.close"]
