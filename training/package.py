"""Put the model and all that is known of it into one folder: `python -m training.package`.

Reads build/calibrated/ and build/report/, writes build/artefact/: the model, metrics.json, the pictures, a model card.
"""

import json
import shutil
import sys
from typing import Any

from serving.artefact import CARD, METRICS, ArtefactError, StanceConfig, copy_unsealed, load_artefact, seal
from serving.stance import CLAIM_TEMPLATES, STANCES
from training.paths import ARTEFACT, CALIBRATED, REPORT
from training.report import CONFUSION, RELIABILITY, label_table, slice_table, summary_table

CARD_TEMPLATE = """\
---
language: en
license: apache-2.0
library_name: transformers
pipeline_tag: text-classification
base_model: {base_model}
tags: [stance-detection, rumour-stance]
---

# Stance towards "{claim}"

Labels one sentence of a news story, dispatch or post with its stance ({labels}) towards the claim that a place has
fallen, or, where the caller names the attacker, that it has fallen to that attacker. Input: the pair (sentence, claim).
What each label means is `datasets/GUIDELINE.md` of the project.

## How it was made

`make train` fine-tuned {base_model} (from: {start}) on {created} as a pair classifier on the training split of
`datasets/sentences.jsonl` (sha256 `{dataset_sha256}`), added {swap_share:.0%} rows with a place the sentence does not
speak of as `comment`, named the attacker in the claim of {attacker_share:.0%} of the rows that know it, and kept
the weights that did best on the calibration split. `model.safetensors` holds them; `openvino.xml` and `openvino.bin`
are the same model with 8-bit weights and activations (post-training quantisation), which serves on CPUs. The logits are
shifted from the label shares of the training data to those of real reporting ({bias}). Temperature ({temperature:.3f})
and the threshold of `confident` ({threshold:.3f}) were fitted on the hardest kinds of sentence of the calibration
split, for real reporting is harder than sentences made like those it learnt from. The test split chose none of these.

Every sentence it learnt from is invented: written for the project with a language model's help, and reread.

```json
{train_config}
```

Libraries: {versions}.

## How good it is

On the test split ({test_rows} rows, of groups that training never saw), by `make evaluate`:

{summary}

{label_table}

![Confusion matrix]({confusion})
![Reliability diagram]({reliability})

The test split is made like the training data; real reporting is harder, so expect less there.

{kinds}

## Limits

- English only, one sentence at a time: what only the sentence before makes clear is lost.
- It reads what is said, not what is true, and knows nothing of later events.
- Who held a place before a dispute must be known or given: name the attacker where you can.
- A prediction that is not `confident` should be read by a person.
"""


def card(config: StanceConfig, result: dict[str, Any]) -> str:
    """The model card, in Markdown."""
    return CARD_TEMPLATE.format(
        claim=CLAIM_TEMPLATES["place"],
        labels=", ".join(STANCES),
        base_model=config.base_model,
        start=config.train_config["base_model"],
        created=config.created[:10],
        dataset_sha256=config.dataset_sha256,
        swap_share=config.train_config["swap_share"],
        attacker_share=config.train_config["attacker_share"],
        bias=", ".join(f"{stance} {value:+.2f}" for stance, value in zip(STANCES, config.bias, strict=True)),
        temperature=config.temperature,
        threshold=config.threshold,
        train_config=json.dumps(config.train_config, indent=2),
        versions=", ".join(f"{name} {version}" for name, version in config.versions.items()),
        test_rows=result["scores"]["rows"],
        summary=summary_table(result),
        label_table=label_table(result["scores"]),
        kinds=slice_table("kind", result["by_kind"]),
        confusion=CONFUSION,
        reliability=RELIABILITY,
    )


def main() -> int:
    """Write build/artefact/."""
    try:
        calibrated = load_artefact(CALIBRATED)
    except ArtefactError as error:
        print(error, file=sys.stderr)
        return 1
    result = json.loads((REPORT / METRICS).read_text(encoding="utf-8"))
    if result["model"] != calibrated.version:
        print(f"{REPORT} is of the model {result['model']}, not of {calibrated.version}", file=sys.stderr)
        return 1
    copy_unsealed(CALIBRATED, ARTEFACT)
    for name in (METRICS, CONFUSION, RELIABILITY):
        shutil.copy(REPORT / name, ARTEFACT)
    (ARTEFACT / CARD).write_text(card(calibrated.config, result), encoding="utf-8")
    seal(ARTEFACT)
    print(f"wrote {ARTEFACT}: {load_artefact(ARTEFACT).tag}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
