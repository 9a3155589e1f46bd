import pytest

from serving.stance import STANCES, claim


def test_stances_are_the_four_in_their_order():
    assert STANCES == ("support", "deny", "query", "comment")


@pytest.mark.parametrize(
    ("place", "attacker", "expected"),
    [
        ("Panjshir", None, "Panjshir has fallen"),
        ("Panjshir", "the Taliban", "Panjshir has fallen to the Taliban"),
        (None, None, "The province has fallen"),
        (None, "the rebels", "The province has fallen to the rebels"),
        ("{attacker}", "{place}", "{attacker} has fallen to {place}"),
        ("Saint-Jean 100%", None, "Saint-Jean 100% has fallen"),
    ],
)
def test_claim_in_words(place, attacker, expected):
    assert claim(place, attacker) == expected
