"""The BentoML service: POST /classify and /analyze, GET /info and /docs.json, health, in the contract's words."""

import asyncio
import functools
import gc
from http import HTTPStatus
from pathlib import Path
from typing import Any

import bentoml
import numpy as np
from numpy.typing import NDArray
from starlette.middleware.cors import CORSMiddleware

from serving.artefact import RELEASED, Artefact, ArtefactError, load_artefact
from serving.article import Span, split_sentences, summarize
from serving.batcher import Batcher, Overloaded
from serving.boundary import REQUEST_SECONDS, Boundary
from serving.classifier import StanceClassifier
from serving.metrics import observe_answer
from serving.pages import pages
from serving.schema import (
    AnalyzedSentence,
    AnalyzeRequest,
    AnalyzeResponse,
    ClassifyRequest,
    ClassifyResponse,
    Prediction,
    Probabilities,
)
from serving.settings import Settings, SettingsError
from serving.stance import STANCES, claim

WAITING_SECONDS = REQUEST_SECONDS / 2
"""Work that may wait for the model: what comes on top would be answered too late, and is refused at once."""

try:
    SETTINGS = Settings.read()
except SettingsError as error:
    raise SystemExit(f"error: {error}") from None


def model_folder(model: str | None) -> Path:
    """The artefact folder that STANCE_MODEL names. Raises ArtefactError."""
    if model is None:
        return RELEASED
    if Path(model).is_dir():
        return Path(model)
    try:
        return Path(bentoml.models.get(model).path_of("artefact"))
    except (bentoml.exceptions.BentoMLException, ValueError):
        raise ArtefactError(
            f"STANCE_MODEL={model}: neither a folder nor a model of the BentoML store (bentoml models list)"
        ) from None


@functools.cache
def served_artefact() -> Artefact:
    """The verified artefact, read once in each process. Raises ArtefactError."""
    return load_artefact(model_folder(SETTINGS.model))


@bentoml.service(
    name="stance",
    workers=SETTINGS.workers,
    http={"host": SETTINGS.host, "port": SETTINGS.port},
    traffic={"timeout": 2 * REQUEST_SECONDS},  # the boundary's own comes first, and answers in the one shape
    metrics={"enabled": False},  # serving/metrics.py has ours
    logging={"access": {"enabled": False}},  # it writes the caller's words: the path and the content type
)
@bentoml.asgi_app(pages(served_artefact, SETTINGS), path="/", name="pages")
class StanceService:
    """Labels sentences with their stance towards the claim that a place has fallen."""

    @bentoml.on_deployment
    def check_model() -> None:
        """End the start, in one line, where the model is broken: runs once, before any worker."""
        try:
            served_artefact()
        except ArtefactError as error:
            raise SystemExit(f"error: {error}") from None

    def __init__(self) -> None:
        """Load the model into this worker."""
        self._classifier = StanceClassifier.load(served_artefact(), threads=SETTINGS.threads)
        tokens_a_second = self._classifier.warm_up()  # ready means warmed up
        self._batcher = Batcher(self._classifier.engine, tokens_a_second * WAITING_SECONDS)
        self._model = served_artefact().tag
        # What is loaded stays: left out of every later collection, it no longer makes requests wait for one.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)

    @bentoml.api
    async def classify(self, request: ClassifyRequest, /) -> ClassifyResponse:
        """The stance of each sentence towards the claim that its place has fallen."""
        predictions = await self._predict(
            [item.sentence for item in request.items],
            [claim(item.place, item.attacker) for item in request.items],
        )
        return ClassifyResponse(model=self._model, predictions=predictions)

    @bentoml.api
    async def analyze(self, request: AnalyzeRequest, /) -> AnalyzeResponse:
        """The stance of every sentence of an article, and what they add up to."""
        spans = await asyncio.to_thread(split_sentences, request.text)
        sentences = [request.text[span.start : span.end] for span in spans]
        titles = [request.title] if request.title else []
        asked = claim(request.place, request.attacker)
        predictions = await self._predict([*titles, *sentences], [asked] * (len(titles) + len(sentences)))
        return AnalyzeResponse(
            model=self._model,
            place=request.place,
            claim=asked,
            sentences=[
                _analyzed(text, span, prediction)
                for text, span, prediction in zip(sentences, spans, predictions[len(titles) :], strict=True)
            ],
            summary=summarize([(prediction.stance, prediction.confident) for prediction in predictions]),
        )

    async def _predict(self, sentences: list[str], claims: list[str]) -> list[Prediction]:
        # Tokenising holds no lock of Python's: in a thread, other requests go on meanwhile.
        windows = await asyncio.to_thread(self._classifier.encode, sentences, claims)
        try:
            logits = windows.mean(await self._batcher.logits(windows.encodings))
        except Overloaded:
            raise _Busy("") from None
        probabilities = self._classifier.probabilities(logits)
        confident = self._classifier.confident(probabilities)
        return [_prediction(row, bool(sure)) for row, sure in zip(probabilities, confident, strict=True)]


class _Busy(bentoml.exceptions.BentoMLException):
    error_code = HTTPStatus.TOO_MANY_REQUESTS


def _prediction(probabilities: NDArray[np.float64], confident: bool) -> Prediction:
    stance = STANCES[int(probabilities.argmax())]
    observe_answer(stance, float(probabilities.max()))
    return Prediction(
        stance=stance,
        probabilities=Probabilities(**dict(zip(STANCES, probabilities.tolist(), strict=True))),
        confident=confident,
    )


def _analyzed(text: str, span: Span, prediction: Prediction) -> AnalyzedSentence:
    return AnalyzedSentence(text=text, start=span.start, end=span.end, holder=None, **dict(prediction))


_service: Any = StanceService  # the decorator has made a Service of the class, which its types do not say
# The first added is the outermost: CORS headers stand on errors too.
if SETTINGS.cors_origins:
    _service.add_asgi_middleware(
        CORSMiddleware,
        allow_origins=list(SETTINGS.cors_origins),
        allow_methods=["GET", "POST"],
        allow_headers=["Authorization", "Content-Type"],
    )
_service.add_asgi_middleware(Boundary, api_keys=SETTINGS.api_keys, max_body_bytes=SETTINGS.max_body_bytes)
