"""The boundary of the service: nothing invalid goes in, and every error comes out in one shape.

An ASGI middleware around BentoML's application. BentoML answers bad input with bodies of several shapes and writes the
caller's text into its log; here a request is authenticated, measured and validated before BentoML sees it, and the
errors that the framework answers by itself (404, 405, 415, 500, ...) are put into the contract's shape.
"""

import hmac
from collections.abc import Iterable

from pydantic import BaseModel, ValidationError
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.schema import AnalyzeRequest, ClassifyRequest, ErrorDetail, ErrorResponse, ErrorType

REQUESTS: dict[str, type[BaseModel]] = {"/classify": ClassifyRequest, "/analyze": AnalyzeRequest}
OPEN_PATHS = frozenset({"/healthz", "/livez", "/readyz"})

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
        headers = {"WWW-Authenticate": "Bearer"} if self.status == 401 else None
        return JSONResponse(self.body.model_dump(), self.status, headers)


class Boundary:
    """See the module."""

    def __init__(self, app: ASGIApp, *, api_keys: tuple[str, ...], max_body_bytes: int) -> None:
        """Wrap `app`; without `api_keys` every caller is let in."""
        self._app = app
        self._api_keys = [key.encode() for key in api_keys]
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        guard = _ErrorGuard(send)
        try:
            self._authenticate(scope)
            model = REQUESTS.get(scope["path"]) if scope["method"] == "POST" else None
            if model:
                body = await self._read_body(scope, receive)
                validate(model, body)
                scope = _as_json(scope)
                receive = _replay(body, receive)
            await self._app(scope, receive, guard.send)
        except _ClientGoneError:
            return
        except RequestError as error:
            await error.response()(scope, receive, send)
        except Exception:
            # The framework's own handler logs what went wrong; the caller gets the one shape, once.
            if not guard.started:
                await RequestError(500).response()(scope, receive, send)
            raise

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
                raise _ClientGoneError
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
        details = [
            _detail(fault["type"], fault["loc"], fault["msg"])
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        first = details[0]
        where = ".".join(str(part) for part in first.loc) or "body"
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        raise RequestError(400, f"The request is not valid: {where}: {first.msg}{more}.", details) from None


def _detail(kind: str, loc: tuple[int | str, ...], message: str) -> ErrorDetail:
    if kind == "extra_forbidden":
        # The last part of the location is the caller's own word, which no error repeats.
        return ErrorDetail(loc=list(loc[:-1]), msg="Unknown field; see /docs.json for those there are")
    return ErrorDetail(loc=list(loc), msg=message.removeprefix("Value error, "))


class _ClientGoneError(Exception):
    pass


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
        self._replaced = False
        self.started = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            if message["status"] >= 400:
                self._replaced = True
                await self._send_error(message)
                return
        if not self._replaced:
            await self._send(message)

    async def _send_error(self, start: Message) -> None:
        status = start["status"]
        if status not in ERROR_TYPES:
            status = 500 if status > 500 else 400
        response = RequestError(status).response()
        kept = [(name, value) for name, value in start["headers"] if name in (b"allow", b"retry-after")]
        headers = [*response.raw_headers, *kept]
        await self._send({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": response.body})
