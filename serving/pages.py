"""The routes that are read, not called: the model's facts, the API's description, and the page at /."""

import platform
from collections.abc import Callable
from importlib.metadata import version

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from serving.artefact import Artefact
from serving.metrics import CONTENT_TYPE, rendered
from serving.openapi import openapi
from serving.schema import InfoResponse, Limits
from serving.settings import Settings
from serving.stance import STANCES

SERVICE_VERSION = "0.1.0"
"""The same as in pyproject.toml; the service runs from its source, where no installed metadata tells."""

RUNTIME_LIBRARIES = ("bentoml", "openvino", "tokenizers", "numpy")

INDEX = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Stance</title></head>
<body>
<h1>Who says the place has fallen, and who denies it?</h1>
<p>This service labels sentences with their stance towards the claim that a place has fallen:
support, deny, query or comment.</p>
<ul>
<li><code>POST /classify</code>: sentences</li>
<li><code>POST /analyze</code>: a whole article</li>
<li><a href="/info"><code>GET /info</code></a>: the model that answers, and how good it is</li>
<li><a href="/docs.json"><code>GET /docs.json</code></a>: the API in OpenAPI 3.1</li>
</ul>
</body>
</html>
"""


def pages(artefact: Callable[[], Artefact], settings: Settings) -> Starlette:
    """The application with these routes; `artefact` is called when /info is asked for."""

    async def index(_: Request) -> HTMLResponse:
        return HTMLResponse(INDEX, headers={"Content-Security-Policy": "default-src 'none'"})

    async def info(_: Request) -> JSONResponse:
        return JSONResponse(describe(artefact(), settings).model_dump())

    async def docs(_: Request) -> JSONResponse:
        return JSONResponse(openapi(SERVICE_VERSION, needs_key=bool(settings.api_keys)))

    def metrics(_: Request) -> Response:  # not async: reading all workers' files is left to a thread
        return Response(rendered(), media_type=CONTENT_TYPE)

    return Starlette(
        routes=[
            Route("/", index),
            Route("/info", info),
            Route("/docs.json", docs),
            Route("/metrics", metrics),
        ]
    )


def describe(artefact: Artefact, settings: Settings) -> InfoResponse:
    """What /info answers."""
    config = artefact.config
    return InfoResponse(
        model=artefact.tag,
        base_model=config.base_model,
        labels=list(STANCES),
        claim_template=config.claim_templates,
        limits=Limits(body_bytes=settings.max_body_bytes, window_tokens=config.max_length),
        dataset_sha256=config.dataset_sha256,
        trained=config.created,
        metrics=artefact.metrics,
        runtime={"python": platform.python_version()} | {name: version(name) for name in RUNTIME_LIBRARIES},
        version=SERVICE_VERSION,
    )
