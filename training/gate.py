"""The gate: what a model must reach on the test split before it is registered or released."""

from typing import Any

from serving.stance import STANCES

MINIMUM_LABEL_F1 = 0.5
MINIMUM_CLAIM_SWAP = 0.95
MAXIMUM_ECE = 0.1


def gate(metrics: dict[str, Any] | None) -> list[str]:
    """Why the model with these metrics is refused; empty where it passes."""
    if metrics is None:
        return ["it has not been evaluated"]
    scores = metrics["scores"]
    faults = [
        f"macro-F1 {scores['macro_f1']} does not beat the baseline {name} ({baseline['macro_f1']})"
        for name, baseline in metrics["baselines"].items()
        if scores["macro_f1"] <= baseline["macro_f1"]
    ]
    for stance in STANCES:
        if (f1 := scores["labels"][stance]["f1"]) < MINIMUM_LABEL_F1:
            faults.append(f"F1 of {stance} is {f1}, at least {MINIMUM_LABEL_F1} is needed")
    if (share := metrics["claim_swap"]["comment_share"]) < MINIMUM_CLAIM_SWAP:
        faults.append(f"claim swap is {share}, at least {MINIMUM_CLAIM_SWAP} is needed")
    if scores["ece"] > MAXIMUM_ECE:
        faults.append(f"ECE is {scores['ece']}, at most {MAXIMUM_ECE} is allowed")
    return faults
