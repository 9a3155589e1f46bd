"""What is asked of a sentence: its stance, towards a claim. Labels and claim templates live here and nowhere else."""

from typing import Literal, get_args

Stance = Literal["support", "deny", "query", "comment"]

STANCES: tuple[Stance, ...] = get_args(Stance)
"""The labels in their fixed order: class k of every logit, probability and confusion row is STANCES[k]."""

CLAIM_TEMPLATES = {
    "place": "{place} has fallen",
    "place_attacker": "{place} has fallen to {attacker}",
}
UNNAMED_PLACE = "The province"


def claim(place: str | None, attacker: str | None = None) -> str:
    """The claim in words, e.g. "Panjshir has fallen to the Taliban"; without a place, "The province has fallen"."""
    template = CLAIM_TEMPLATES["place_attacker" if attacker else "place"]
    return template.format(place=place or UNNAMED_PLACE, attacker=attacker)
