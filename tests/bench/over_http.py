"""Services called over HTTP: ours, and the same checkpoint behind infinity-emb, LitServe, and a bare Starlette app."""

import asyncio
import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import numpy as np
import psutil

from tests.bench.inputs import Pair
from tests.conftest import ROOT, free_port, running_service

RIVALS = ROOT / "build" / "bench-env"
REQUIREMENTS = Path(__file__).parent / "rivals.txt"
START_SECONDS = 120


@dataclass(frozen=True)
class Server:
    """A running service and how it is asked."""

    name: str
    url: str
    body: Callable[[Sequence[Pair]], dict[str, Any]]
    pid: int


@dataclass(frozen=True)
class Load:
    """What a measurement gave."""

    rate: float
    """Sentences a second."""
    milliseconds: list[float]
    """Of each answer."""


def items(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Our request: the claim is given by its place."""
    return {"items": [{"sentence": sentence, "place": claim.removesuffix(" has fallen")} for sentence, claim in pairs]}


def texts(pairs: Sequence[Pair]) -> dict[str, Any]:
    return {"pairs": [list(pair) for pair in pairs]}


def infinity_input(pairs: Sequence[Pair]) -> dict[str, Any]:
    """It takes no pairs: sentence and claim go as one text, which costs it the same."""
    return {"model": "stance", "input": [f"{sentence} {claim}" for sentence, claim in pairs], "raw_scores": True}


@contextlib.contextmanager
def ours(folder: Path) -> Iterator[Server]:
    with running_service(folder / "ours.log") as service:
        yield Server("ours", f"{service.url}/classify", items, service.process.pid)


def rival_environment(progress: Callable[[str], None]) -> str | None:
    """Install the rivals into an environment of their own; None, or why it cannot be had."""
    if (RIVALS / "done").exists():
        return None
    progress(f"installing the rivals into {RIVALS.relative_to(ROOT)}")
    shutil.rmtree(RIVALS, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", str(RIVALS)], check=True)
    command = [str(RIVALS / "bin" / "pip"), "install", "--quiet", "--requirement", str(REQUIREMENTS)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        return (ended.stderr.strip().splitlines() or ["pip failed"])[-1]
    (RIVALS / "done").touch()
    return None


@contextlib.contextmanager
def rival(name: str, model: Path, folder: Path) -> Iterator[Server]:
    """Start a rival with our checkpoint. Raises RuntimeError where it does not come up."""
    port = free_port()
    scripts = Path(__file__).parent / "rivals"
    python = str(RIVALS / "bin" / "python")
    commands = {
        "starlette": [python, str(scripts / "starlette_app.py"), str(model), str(port)],
        "litserve": [python, str(scripts / "litserve_app.py"), str(model), str(port)],
        "infinity": [
            str(RIVALS / "bin" / "infinity_emb"),
            *("v2", "--model-id", str(model), "--served-model-name", "stance", "--engine", "torch"),
            *("--device", "cpu", "--dtype", "float32", "--no-bettertransformer", "--host", "127.0.0.1"),
            *("--port", str(port), "--batch-size", "64"),
        ],
    }
    paths = {"starlette": "/classify", "litserve": "/predict", "infinity": "/classify"}
    environment = {**os.environ, "DO_NOT_TRACK": "1", "HF_HUB_OFFLINE": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(commands[name], env=environment, stdout=log, stderr=subprocess.STDOUT)
    body = infinity_input if name == "infinity" else texts
    server = Server(name, f"http://127.0.0.1:{port}{paths[name]}", body, process.pid)
    try:
        _wait(server, process)
        yield server
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.terminate()
        process.terminate()
        process.wait(timeout=30)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    probe = server.body([("The town fell.", "Sake has fallen")])
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        with contextlib.suppress(httpx.HTTPError):
            if httpx.post(server.url, json=probe, timeout=20).status_code == 200:
                return
        time.sleep(0.3)
    raise RuntimeError(f"{server.name} did not start")


async def closed_load(server: Server, pairs: Sequence[Pair], *, callers: int, size: int, duration: float) -> Load:
    """`callers` that each send their next request of `size` pairs when the last is answered."""
    taken = 0
    milliseconds: list[float] = []
    end = time.perf_counter() + duration

    async def caller(session: aiohttp.ClientSession) -> None:
        nonlocal taken
        while time.perf_counter() < end:
            start = taken * size % (len(pairs) - size + 1)
            taken += 1
            await _ask(session, server, pairs[start : start + size], milliseconds)

    begun = time.perf_counter()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(caller(session) for _ in range(callers)))
    return Load(len(milliseconds) * size / (time.perf_counter() - begun), milliseconds)


async def open_load(server: Server, pairs: Sequence[Pair], *, rate: float, duration: float) -> Load:
    """Single sentences that arrive at random at `rate` a second, whether or not earlier ones are answered."""
    gaps = np.random.default_rng(0).exponential(1 / rate, size=max(1, int(rate * duration)))
    arrivals = np.cumsum(gaps)
    milliseconds: list[float] = []
    begun = time.perf_counter()

    async def one(session: aiohttp.ClientSession, index: int) -> None:
        await asyncio.sleep(max(0.0, begun + arrivals[index] - time.perf_counter()))
        await _ask(session, server, [pairs[index % len(pairs)]], milliseconds)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(one(session, index) for index in range(len(arrivals))))
    return Load(len(milliseconds) / (time.perf_counter() - begun), milliseconds)


async def _ask(
    session: aiohttp.ClientSession, server: Server, pairs: Sequence[Pair], milliseconds: list[float]
) -> None:
    begun = time.perf_counter()
    async with session.post(server.url, json=server.body(pairs)) as response:
        await response.read()
        if response.status != 200:
            raise RuntimeError(f"{server.name} answered {response.status}")
    milliseconds.append(1000 * (time.perf_counter() - begun))


def worker_megabytes(server: Server) -> float:
    """Resident memory of the largest process of a service."""
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    return max(process.memory_info().rss for process in family) / 1e6


def cold_start(folder: Path) -> float:
    """Seconds from the command to the first answer."""
    begun = time.perf_counter()
    with ours(folder) as server:
        _ = httpx.post(server.url, json=server.body([("The town fell.", "Sake has fallen")])).raise_for_status()
        return time.perf_counter() - begun
