"""The BentoML service: POST /classify and /analyze, GET /info and /docs.json, health, in the contract's words."""

import functools
import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml
from starlette.middleware.cors import CORSMiddleware

from serving.artefact import RELEASED, Artefact, ArtefactError, load_artefact
from serving.article import Span, split_sentences, summarize
from serving.boundary import REQUEST_SECONDS, Boundary
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

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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
        # Imported in the workers only: the process that watches them stays small.
        import torch
        from transformers.utils import logging

        from serving.classifier import StanceClassifier

        logging.disable_progress_bar()
        torch.set_num_threads(SETTINGS.threads)
        self._classifier = StanceClassifier.load(served_artefact())
        self._model = served_artefact().tag
        self._classifier.predict_proba(["The town has been taken."], [claim(None)])  # ready means warmed up
        # What is loaded stays: left out of every later collection, it no longer makes requests wait for one.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)

    @bentoml.api
    def classify(self, request: ClassifyRequest, /) -> ClassifyResponse:
        """The stance of each sentence towards the claim that its place has fallen."""
        predictions = self._predict(
            [item.sentence for item in request.items],
            [claim(item.place, item.attacker) for item in request.items],
        )
        return ClassifyResponse(model=self._model, predictions=predictions)

    @bentoml.api
    def analyze(self, request: AnalyzeRequest, /) -> AnalyzeResponse:
        """The stance of every sentence of an article, and what they add up to."""
        spans = split_sentences(request.text)
        sentences = [request.text[span.start : span.end] for span in spans]
        titles = [request.title] if request.title else []
        asked = claim(request.place, request.attacker)
        predictions = self._predict([*titles, *sentences], [asked] * (len(titles) + len(sentences)))
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

    def _predict(self, sentences: list[str], claims: list[str]) -> list[Prediction]:
        probabilities = self._classifier.predict_proba(sentences, claims)
        confident = self._classifier.confident(probabilities)
        return [_prediction(row, bool(sure)) for row, sure in zip(probabilities, confident, strict=True)]


def _prediction(probabilities: "NDArray[np.float64]", confident: bool) -> Prediction:
    return Prediction(
        stance=STANCES[int(probabilities.argmax())],
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
