"""The plainest service there is: a transformers pipeline in a Starlette route."""

import sys

import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from transformers import pipeline

classify = pipeline("text-classification", model=sys.argv[1], top_k=None)


async def answer(request):
    pairs = (await request.json())["pairs"]
    inputs = [{"text": sentence, "text_pair": claim} for sentence, claim in pairs]
    return JSONResponse(classify(inputs, batch_size=32))


uvicorn.run(
    Starlette(routes=[Route("/classify", answer, methods=["POST"])]),
    host="127.0.0.1",
    port=int(sys.argv[2]),
    log_level="warning",
)
