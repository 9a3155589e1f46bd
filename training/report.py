"""The figures of an evaluation as people read them: Markdown tables and two pictures."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from sklearn.metrics import ConfusionMatrixDisplay

from serving.stance import STANCES

CONFUSION = "confusion.png"
RELIABILITY = "reliability.png"
REPORT_TEXT = "report.md"


def write_report(folder: Path, result: dict[str, Any]) -> str:
    """Write the pictures and report.md into `folder`; returns the summary table, for the terminal."""
    _confusion_matrix(folder / CONFUSION, result["scores"]["confusion"])
    _reliability_diagram(folder / RELIABILITY, result["scores"]["reliability"])
    summary = summary_table(result)
    sections = [
        f"# Evaluation of {result['model']} on {result['data']['file']}",
        summary,
        "## By label\n\n" + label_table(result["scores"]),
        f"![Confusion matrix]({CONFUSION})",
        f"![Reliability diagram]({RELIABILITY})",
    ]
    for title in ("register", "kind"):
        if slices := result[f"by_{title}"]:
            sections.append(f"## By {title}\n\n" + slice_table(title, slices))
    (folder / REPORT_TEXT).write_text("\n\n".join(sections) + "\n", encoding="utf-8")
    return summary


def summary_table(result: dict[str, Any]) -> str:
    """One row for the model, with and without the attacker in the claim, and one for each baseline."""
    rows = {"model": result["scores"]}
    if "scores_with_attacker" in result:
        rows["model, attacker given"] = result["scores_with_attacker"]
    rows |= result.get("baselines", {})
    header = ["", "rows", "macro-F1", "accuracy", "ECE", "Brier", "confident share", "confident accuracy"]
    keys = ("rows", "macro_f1", "accuracy", "ece", "brier", "confident_share", "confident_accuracy")
    table = _table(header, [[name, *(scores.get(key) for key in keys)] for name, scores in rows.items()])
    swap = result["claim_swap"]
    return f"{table}\n\nClaim swap: {swap['comment_share']} of {swap['rows']} rows become comment."


def label_table(scores: dict[str, Any]) -> str:
    """Precision, recall and F1 of each label."""
    keys = ("precision", "recall", "f1", "rows")
    rows = [[stance, *(scores["labels"][stance][key] for key in keys)] for stance in STANCES]
    return _table(["label", "precision", "recall", "F1", "rows"], rows)


def slice_table(title: str, slices: dict[str, dict[str, float]]) -> str:
    """Scores of each register or kind."""
    keys = ("rows", "accuracy", "macro_f1")
    rows = [[name, *(scores[key] for key in keys)] for name, scores in slices.items()]
    return _table([title, "rows", "accuracy", "macro-F1"], rows)


def _table(header: list[str], rows: list[list[Any]]) -> str:
    lines = [
        header,
        ["---"] * len(header),
        *([("" if cell is None else str(cell)) for cell in row] for row in rows),
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _confusion_matrix(path: Path, confusion: list[list[int]]) -> None:
    figure = Figure(figsize=(5, 5))
    axes = figure.subplots()
    ConfusionMatrixDisplay(np.array(confusion), display_labels=STANCES).plot(ax=axes, cmap="Blues", colorbar=False)
    axes.set(xlabel="predicted", ylabel="labelled")
    figure.savefig(path, dpi=120, bbox_inches="tight")


def _reliability_diagram(path: Path, bins: list[dict[str, float]]) -> None:
    figure = Figure(figsize=(5, 5))
    axes = figure.subplots()
    confidence, accuracy = [row["confidence"] for row in bins], [row["accuracy"] for row in bins]
    axes.plot([0, 1], [0, 1], linestyle="--", color="grey", label="perfectly calibrated")
    axes.plot(confidence, accuracy, marker="o", label="model")
    for row in bins:
        axes.annotate(str(row["rows"]), (row["confidence"], row["accuracy"]), fontsize=7)
    axes.set(xlabel="probability of the predicted stance", ylabel="share right", xlim=(0, 1), ylim=(0, 1))
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")
