"""Measure everything and report it: `python -m tests.bench.run`, or `make bench`.

Writes build/bench.json (machine, raw measurements, ratios) and build/bench.png, and prints the ratios as a table. Each
ratio is of two things measured in one round; what is reported is the median of the rounds.
"""

import argparse
import asyncio
import contextlib
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from serving.artefact import RELEASED, load_artefact, write_json
from serving.classifier import StanceClassifier
from serving.settings import available_cores
from tests.bench import in_process, over_http
from tests.bench.inputs import mix, of_length
from tests.conftest import ROOT

OUTPUT = ROOT / "build"

FLOORS = {
    "pipeline_default": (8.0, "times a transformers pipeline at its default (one at a time)"),
    "pipeline_32": (4.0, "times a transformers pipeline with batches of 32"),
    "torch_sorted": (2.5, "times torch in fp32 with batches sorted by length"),
    "peak_share": (0.45, "of this machine's peak of 8-bit matrix products"),
    "http_64_share": (0.85, "of the in-process rate, over HTTP with 64 items a request"),
    "http_callers_vs_best": (2.0, "times the best other server, with 64 callers of one sentence"),
    "http_extra_ms": (3.0, "ms at most that HTTP adds to one sentence"),
    "p99_p50": (4.0, "at most, p99 over p50 at half the top load"),
    "scale_100k": (0.95, "of the rate of 1,000 sentences, at 100,000"),
    "rss_mb": (400.0, "MB at most of memory in a worker"),
    "cold_start_s": (6.0, "s at most from the command to the first answer"),
}
AT_MOST = {"http_extra_ms", "p99_p50", "rss_mb", "cold_start_s"}


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def measure_in_process(rounds: int, largest: int, folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
    artefact = load_artefact(RELEASED)
    threads = available_cores()
    classifier = StanceClassifier.load(artefact, engine="openvino", threads=threads)
    mine = in_process.ours(classifier)
    pairs = mix(256)
    contenders = {
        "ours": mine,
        "pipeline_default": in_process.transformers_pipeline(artefact, 1),
        "pipeline_32": in_process.transformers_pipeline(artefact, 32),
        "torch_sorted": in_process.torch_sorted(artefact),
        "onnx_runtime": in_process.onnx_runtime(artefact, folder),
    }
    rates = in_process.side_by_side(contenders, pairs, rounds, say)
    ratios = {
        name: median(mine / other for mine, other in zip(rates["ours"], rates[name], strict=True))
        for name in ("pipeline_default", "pipeline_32", "torch_sorted")
    }
    del contenders

    peak = in_process.int8_peak(threads)
    thousand = mix(1_000)
    needed = in_process.operations(artefact, thousand)
    peaks, reached, thousand_rates = [], [], []
    for number in range(rounds):
        peaks.append(median(peak() for _ in range(5)))
        took = in_process.seconds(mine, thousand)
        reached.append(needed / took)
        thousand_rates.append(len(thousand) / took)
        say(f"peak, round {number + 1}: {reached[-1] / 1e9:.0f} of {peaks[-1] / 1e9:.0f} GOP/s")
    ratios["peak_share"] = median(r / p for r, p in zip(reached, peaks, strict=True))

    by_size = {}
    for size in (10, 100, 1_000, 10_000, 100_000):
        if size <= largest:
            sized = mix(size)
            by_size[size] = median(
                size / in_process.seconds(mine, sized) for _ in range(rounds if size <= 1_000 else 1)
            )
            say(f"{size} sentences: {by_size[size]:.0f}/s")
    ratios["scale_100k"] = by_size[max(by_size)] / by_size[1_000]
    by_tokens = {}
    for tokens in (8, 16, 32, 64, 128, 256):
        by_tokens[tokens] = median(
            128 / in_process.seconds(mine, pairs_of) for _ in range(rounds) for pairs_of in [of_length(tokens, 128)]
        )
        say(f"about {tokens} tokens: {by_tokens[tokens]:.0f}/s")
    raw = {
        "sentences_per_second": rates,
        "peak_operations_per_second": peaks,
        "reached_operations_per_second": reached,
        "rate_by_number_of_sentences": by_size,
        "rate_by_tokens": by_tokens,
        "one_at_a_time_ms": in_process.one_at_a_time(mine, pairs[:100]),
        "rate_of_1000": thousand_rates,
        "model": artefact.tag,
    }
    return raw, ratios


@contextlib.contextmanager
def all_servers(folder: Path) -> Iterator[tuple[dict[str, over_http.Server], dict[str, str]]]:
    """Those that start, and why the others don't."""
    missing: dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        servers = {"ours": stack.enter_context(over_http.ours(folder))}
        names = ("starlette", "litserve", "infinity")
        if (fault := over_http.rival_environment(say)) is not None:
            missing = dict.fromkeys(names, fault)
            names = ()
        for name in names:
            try:
                servers[name] = stack.enter_context(over_http.rival(name, RELEASED, folder))
            except RuntimeError as error:
                missing[name] = str(error)
        for name, fault in missing.items():
            say(f"{name} is left out: {fault}")
        yield servers, missing


def measure_over_http(rounds: int, duration: float, folder: Path) -> tuple[dict[str, Any], dict[str, float]]:
    pairs = mix(2_048)
    artefact = load_artefact(RELEASED)
    mine = in_process.ours(StanceClassifier.load(artefact, engine="openvino", threads=available_cores()))
    modes = {"callers_1": (1, 1), "callers_16": (16, 1), "callers_64": (64, 1), "items_64": (2, 64)}
    with all_servers(folder) as (servers, missing):
        rates: dict[str, dict[str, list[float]]] = {mode: {name: [] for name in servers} for mode in modes}
        bare_rates, extra, spread = [], [], []
        for server in servers.values():
            asyncio.run(over_http.closed_load(server, pairs, callers=4, size=1, duration=1.0))
        for number in range(rounds):
            bare_rates.append(len(pairs) / in_process.seconds(mine, pairs))
            for mode, (callers, size) in modes.items():
                for name in np.roll(list(servers), number).tolist():
                    load = asyncio.run(
                        over_http.closed_load(servers[name], pairs, callers=callers, size=size, duration=duration)
                    )
                    rates[mode][name].append(load.rate)
                    if mode == "callers_1" and name == "ours":
                        extra.append(median(load.milliseconds) - in_process.one_at_a_time(mine, pairs[:100]))
                told = ", ".join(f"{name} {rates[mode][name][-1]:.0f}/s" for name in servers)
                say(f"HTTP {mode}, round {number + 1}: {told}")
            half = rates["callers_64"]["ours"][-1] / 2
            load = asyncio.run(over_http.open_load(servers["ours"], pairs, rate=half, duration=2 * duration))
            spread.append(float(np.percentile(load.milliseconds, 99) / np.percentile(load.milliseconds, 50)))
        memory = over_http.worker_megabytes(servers["ours"])
    others = [name for name in rates["callers_64"] if name != "ours"]
    ratios = {
        "http_64_share": median(a / b for a, b in zip(rates["items_64"]["ours"], bare_rates, strict=True)),
        "http_extra_ms": median(extra),
        "p99_p50": median(spread),
        "rss_mb": memory,
        "cold_start_s": median(over_http.cold_start(folder) for _ in range(rounds)),
    }
    if others:
        best = [max(rates["callers_64"][name][number] for name in others) for number in range(rounds)]
        ratios["http_callers_vs_best"] = median(a / b for a, b in zip(rates["callers_64"]["ours"], best, strict=True))
    raw = {"http": rates, "http_in_process": bare_rates, "extra_ms": extra, "p99_p50": spread, "left_out": missing}
    return raw, ratios


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    name = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    return {"processor": name, "cores": available_cores(), "system": platform.platform(), "load": os.getloadavg()[0]}


def table(ratios: dict[str, float]) -> str:
    lines = ["| figure | measured | bound | |", "| --- | ---: | ---: | --- |"]
    for name, (floor, words) in FLOORS.items():
        if name not in ratios:
            lines.append(f"| {name} | not measured | {floor:g} | {words} |")
            continue
        met = ratios[name] <= floor if name in AT_MOST else ratios[name] >= floor
        lines.append(f"| {name} | {ratios[name]:.2f} | {floor:g}{'' if met else ' (missed)'} | {words} |")
    return "\n".join(lines)


def draw(raw: dict[str, Any], path: Path) -> None:
    """Bars of the rates, in process and over HTTP."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 4.5), layout="constrained")
    rates = {name: median(values) for name, values in raw["sentences_per_second"].items()}
    left.barh(list(rates), list(rates.values()), color="#4477aa")
    left.set(title="In process", xlabel="sentences a second")
    left.invert_yaxis()
    modes = list(raw["http"])
    servers = list(raw["http"][modes[0]])
    for index, server in enumerate(servers):
        heights = [median(raw["http"][mode][server]) for mode in modes]
        right.bar(np.arange(len(modes)) + index / (len(servers) + 1), heights, 1 / (len(servers) + 1), label=server)
    right.set(title="Over HTTP", ylabel="sentences a second")
    right.set_xticks(np.arange(len(modes)) + 0.3, modes)
    right.legend()
    figure.savefig(path, dpi=120)
    plt.close(figure)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Measure the service and its rivals side by side.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement over HTTP")
    parser.add_argument("--largest", type=int, default=100_000, help="sentences of the largest input")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        over, http_ratios = measure_over_http(arguments.rounds, arguments.seconds, folder)
        inside, ratios = measure_in_process(arguments.rounds, arguments.largest, folder)
    figures = {**ratios, **http_ratios}
    raw = {**inside, **over, "arguments": vars(arguments)}
    OUTPUT.mkdir(exist_ok=True)
    ordered = {name: figures[name] for name in FLOORS if name in figures}
    write_json(OUTPUT / "bench.json", {"machine": machine(), "raw": raw, "ratios": ordered})
    draw(raw, OUTPUT / "bench.png")
    print(table(figures))


if __name__ == "__main__":
    main()
