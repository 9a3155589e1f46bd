"""The OpenAPI 3.1 description of the service, made from the models that validate and answer.

BentoML's own is OpenAPI 3.0 and not valid; it also knows neither our errors nor the routes beside its own.
"""

from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.schema import (
    AnalyzeRequest,
    AnalyzeResponse,
    ClassifyRequest,
    ClassifyResponse,
    ErrorResponse,
    InfoResponse,
)

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "The request is not valid",
    "401": "No valid API key was sent",
    "404": "Nothing at this path",
    "405": "This path does not answer this method",
    "413": "The request body is too large",
    "429": "The service is busy",
    "500": "The service failed",
    "503": "The service is not ready",
    "504": "The request took too long",
}
_HEALTH = {
    "/healthz": "Is the service up?",
    "/livez": "Is the process alive?",
    "/readyz": "May requests be sent?",
}


def openapi(version: str, *, needs_key: bool) -> dict[str, Any]:
    """The document served at /docs.json."""
    answers: list[type[BaseModel]] = [AnalyzeResponse, ClassifyResponse, ErrorResponse, InfoResponse]
    models: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        (AnalyzeRequest, "validation"),
        (ClassifyRequest, "validation"),
        *((answer, "serialization") for answer in answers),
    ]
    _, schemas = models_json_schema(models, ref_template=_REF)
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "Stance towards a place's fall",
            "version": version,
            "description": "Who says that a place has fallen, who denies it, who asks: sentence by sentence.",
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/classify": {"post": _call("classify", "Classify sentences", ClassifyRequest, ClassifyResponse)},
            "/analyze": {"post": _call("analyze", "Read an article", AnalyzeRequest, AnalyzeResponse)},
            "/info": {"get": _operation("info", "The model and its limits", _json(InfoResponse, "The model"))},
            "/metrics": {"get": _operation("metrics", "Metrics for Prometheus", _text("The metrics"))},
            **{
                path: {"get": {**_operation(path[1:], summary, _text("Yes")), "security": []}}
                for path, summary in _HEALTH.items()
            },
        },
        "components": {"schemas": schemas["$defs"]},
    }
    if needs_key:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document


def _call(name: str, summary: str, request: type[BaseModel], response: type[BaseModel]) -> dict[str, Any]:
    operation = _operation(name, summary, _json(response, "One answer for each thing asked, in order"))
    body = {"required": True, "content": _content(request)}
    return {**operation, "requestBody": body}


def _operation(name: str, summary: str, success: dict[str, Any]) -> dict[str, Any]:
    errors = {status: _json(ErrorResponse, description) for status, description in _ERRORS.items()}
    errors["429"]["headers"] = {
        "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}}
    }
    return {"operationId": name, "summary": summary, "responses": {"200": success, **errors}}


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(model=model.__name__)}}}


def _json(model: type[BaseModel], description: str) -> dict[str, Any]:
    return {"description": description, "content": _content(model)}


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}
