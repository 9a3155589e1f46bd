"""The boundary of the service: nothing invalid goes in, and every error comes out in one shape.

An ASGI middleware around BentoML's application. BentoML answers bad input with bodies of several shapes and writes the
caller's text into its log; here a request is authenticated, measured and validated before BentoML reads it, and the
errors that the framework answers by itself (405, 500, ...) are put into the contract's shape.
"""

import asyncio
import hmac
import time
from collections.abc import Iterable

from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.metrics import observe
from serving.schema import AnalyzeRequest, ClassifyRequest, ErrorDetail, ErrorResponse, ErrorType

REQUESTS: dict[str, type[BaseModel]] = {"/classify": ClassifyRequest, "/analyze": AnalyzeRequest}
OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz"})
PATHS = OPEN_PATHS | REQUESTS.keys() | {"/", "/info", "/docs.json", "/metrics", "/schema.json"}
"""All there is; /schema.json is what BentoML's own client reads first."""

REQUEST_SECONDS = 60
MAX_WAITING = 256
"""Requests that a worker holds at once; more are sent away with 429. The batcher bounds their work besides."""

RETRY_AFTER_SECONDS = 1
MAX_DETAILS = 20

ERROR_TYPES: dict[int, ErrorType] = {
    400: "validation",
    401: "authentication",
    404: "not_found",
    405: "method_not_allowed",
    413: "payload_too_large",
    429: "overloaded",
    500: "internal",
    503: "unavailable",
    504: "timeout",
}
HEADERS = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": str(RETRY_AFTER_SECONDS)}}
MESSAGES: dict[ErrorType, str] = {
    "validation": "The request is not valid.",
    "authentication": "An API key is needed: send it as 'Authorization: Bearer <key>'.",
    "not_found": "There is nothing at this path; see /docs.json for those there are.",
    "method_not_allowed": "This path does not answer this method; see /docs.json.",
    "payload_too_large": "The request body is too large.",
    "overloaded": "The service is busy; try again shortly.",
    "timeout": "The request took too long.",
    "unavailable": "The service is not ready to answer.",
    "internal": "The service failed to answer; the request may be tried again.",
}


class RequestError(Exception):
    """The request is refused."""

    def __init__(self, status: int, message: str | None = None, details: Iterable[ErrorDetail] = ()) -> None:
        """`message` and `details` must not hold the caller's text."""
        error_type = ERROR_TYPES[status]
        self.status = status
        self.body = ErrorResponse(error=message or MESSAGES[error_type], error_type=error_type, details=list(details))

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.body.model_dump(), self.status, HEADERS.get(self.status))


class Boundary:
    """See the module."""

    def __init__(self, app: ASGIApp, *, api_keys: tuple[str, ...], max_body_bytes: int) -> None:
        """Wrap `app`; without `api_keys` every caller is let in."""
        self._app = app
        self._api_keys = [key.encode() for key in api_keys]
        self._max_body_bytes = max_body_bytes
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        guard = _ErrorGuard(send)
        begun = time.perf_counter()
        try:
            await self._answer(scope, receive, guard.send)
        except RequestError as error:
            await guard.refuse(error)
        except asyncio.CancelledError:
            raise
        except BaseException:  # a library written in Rust panics with one
            # What went wrong goes to the log by being raised; the caller gets the one shape, once.
            await guard.refuse(RequestError(500))
            raise
        finally:
            route = scope["path"] if scope["path"] in PATHS else "other"
            observe(route, guard.status, time.perf_counter() - begun)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._authenticate(scope)
        if scope["path"] not in PATHS:
            raise RequestError(404)
        model = REQUESTS.get(scope["path"]) if scope["method"] == "POST" else None
        if model is None:
            await self._app(scope, receive, send)
            return
        body = await self._read_body(scope, receive)
        validate(model, body)
        if self._waiting >= MAX_WAITING:
            raise RequestError(429)
        self._waiting += 1
        try:
            async with asyncio.timeout(REQUEST_SECONDS):
                await self._app(_as_json(scope), _replay(body, receive), send)
        except TimeoutError:
            raise RequestError(504) from None
        finally:
            self._waiting -= 1

    def _authenticate(self, scope: Scope) -> None:
        if not self._api_keys or scope["path"] in OPEN_PATHS:
            return
        scheme, _, token = dict(scope["headers"]).get(b"authorization", b"").partition(b" ")
        # Every key is compared, in constant time: how long a refusal takes tells nothing.
        matches = [hmac.compare_digest(token.strip(), key) for key in self._api_keys]
        if scheme.lower() != b"bearer" or not any(matches):
            raise RequestError(401)

    async def _read_body(self, scope: Scope, receive: Receive) -> bytes:
        too_large = RequestError(413, f"The request body may have at most {self._max_body_bytes} bytes.")
        announced = dict(scope["headers"]).get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._max_body_bytes:
            raise too_large
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RequestError(400)  # nobody reads it, but the server must know that the request is over
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > self._max_body_bytes:
                raise too_large
            chunks.append(chunk)
            if not message.get("more_body", False):
                return b"".join(chunks)


def validate(model: type[BaseModel], body: bytes) -> None:
    """Raise a RequestError that says what is wrong with `body`, without a word of it."""
    try:
        model.model_validate_json(body)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        details = [_detail(fault["type"], fault["loc"], fault["msg"]) for fault in faults[:MAX_DETAILS]]
        first = details[0]
        where = ".".join(str(part) for part in first.loc) or "body"
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        raise RequestError(400, f"The request is not valid: {where}: {first.msg}{more}.", details) from None


def _detail(kind: str, loc: tuple[int | str, ...], message: str) -> ErrorDetail:
    if kind == "extra_forbidden":
        # The last part of the location is the caller's own word, which no error repeats.
        return ErrorDetail(loc=list(loc[:-1]), msg="Unknown field; see /docs.json for those there are")
    return ErrorDetail(loc=list(loc), msg=message.removeprefix("Value error, "))


def _as_json(scope: Scope) -> Scope:
    """The body has been read as JSON whatever the caller called it; BentoML must read it so too."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"content-type"]
    return {**scope, "headers": [*headers, (b"content-type", b"application/json")]}


def _replay(body: bytes, receive: Receive) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replayed() -> Message:
        return messages.pop() if messages else await receive()

    return replayed


class _ErrorGuard:
    """Passes answers on, and puts those that are errors into the one shape."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._started = False
        self._refused = False
        self.status = 500
        """Of the answer, once it has begun."""

    async def send(self, message: Message) -> None:
        """Stands in for the server's `send`."""
        if message["type"] == "http.response.start":
            if message["status"] >= 400:
                status = message["status"]
                known = status if status in ERROR_TYPES else 500 if status > 500 else 400
                kept = [(name, value) for name, value in message["headers"] if name in (b"allow", b"retry-after")]
                await self.refuse(RequestError(known), kept)
                return
            self._started, self.status = True, message["status"]
        if not self._refused:
            await self._send(message)

    async def refuse(self, error: RequestError, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """Answer with `error`, unless an answer has begun."""
        if self._started:
            return
        self._started = self._refused = True
        self.status = error.status
        response = error.response()
        start = {"status": error.status, "headers": [*response.raw_headers, *headers]}
        await self._send({"type": "http.response.start", **start})
        await self._send({"type": "http.response.body", "body": response.body})
