import pytest

from serving.article import split_sentences, summarize

TEXT = (
    'KABUL, Sept. 3 — "The valley has not fallen," Gen. A. B. Karimi told the U.S. envoy. "Ours," he added.\n'
    "• First bullet without a stop\n"
    "• Second bullet\n\n"
    "HEADLINE WITHOUT A STOP\n"
    "🇦🇫 Şuşa is ours!!! A line that is\nwrapped goes on. Did it fall?"
)


def test_sentences_have_exact_offsets_and_hold_all_the_text():
    spans = split_sentences(TEXT)
    pieces = [TEXT[span.start : span.end] for span in spans]
    assert pieces == [
        'KABUL, Sept. 3 — "The valley has not fallen," Gen. A. B. Karimi told the U.S. envoy.',
        '"Ours," he added.',
        "• First bullet without a stop",
        "• Second bullet",
        "HEADLINE WITHOUT A STOP",
        "🇦🇫 Şuşa is ours!!!",
        "A line that is\nwrapped goes on.",
        "Did it fall?",
    ]
    assert "".join("".join(pieces).split()) == "".join(TEXT.split())


@pytest.mark.parametrize(
    "text", ["What should I\u00a0.\u00a0.\u00a0. do?", "Plan B\u2009.", "Vitamin K\u3000. It fell."]
)
def test_white_space_of_every_kind_is_read(text):
    spans = split_sentences(text)
    assert "".join("".join(text[span.start : span.end] for span in spans).split()) == "".join(text.split())


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("They took the valley\r\nand held it.", 1),
        ("They took the valley\nélan and all.", 1),
        ("They took the valley\n\nand held it.", 2),
        ("They took the valley\nRebels said so.", 2),
    ],
)
def test_line_goes_on_where_the_next_begins_in_lower_case(text, sentences):
    assert len(split_sentences(text)) == sentences


@pytest.mark.parametrize("text", [" \n\t ", ""])
def test_white_space_holds_no_sentence(text):
    assert split_sentences(text) == []


@pytest.mark.parametrize(
    ("stances", "verdict"),
    [
        ([("support", True), ("deny", True), ("query", True)], "contested"),
        ([("support", True), ("deny", False), ("comment", True)], "claimed"),
        ([("deny", True), ("support", False)], "denied"),
        ([("query", False), ("comment", True)], "unclear"),
        ([("support", False), ("comment", True)], "unclear"),
        ([("comment", False), ("comment", True)], "none"),
        ([], "none"),
    ],
)
def test_verdict(stances, verdict):
    assert summarize(stances).verdict == verdict


def test_counts_are_of_all_stances():
    counts = summarize([("support", True), ("support", False), ("query", True)]).counts
    assert counts.model_dump() == {"support": 2, "deny": 0, "query": 1, "comment": 0}
