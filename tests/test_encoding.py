import numpy as np
from tokenizers import Tokenizer

from serving.artefact import TOKENIZER
from serving.encoding import WINDOW_OVERLAP, encode, load_tokenizer, pad
from tests.conftest import ROOT


def test_sentence_comes_first_and_claim_second(tiny_artefact):
    tokenizer = load_tokenizer(tiny_artefact / TOKENIZER, 96)
    encoding = encode(tokenizer, ["the town fell"], ["it has fallen"]).encodings[0]
    assert encoding.tokens == ["[CLS]", "the", "town", "fell", "[SEP]", "it", "has", "fallen", "[SEP]"]
    assert encoding.type_ids == [0, 0, 0, 0, 0, 1, 1, 1, 1]


def test_over_long_sentence_is_read_whole_and_claim_is_never_cut(tiny_artefact):
    tokenizer = load_tokenizer(tiny_artefact / TOKENIZER, 96)
    words = [f"town army rebels {word}" for word in ("the", "city", "province", "near", "north")] * 20
    sentence = " ".join(words)
    windows = encode(tokenizer, ["it fell", sentence], ["the city has fallen"] * 2)
    assert windows.pair.tolist() == [0] + [1] * (len(windows.encodings) - 1)
    read = []
    for index, encoding in enumerate(windows.encodings[1:]):
        assert len(encoding) <= 96
        assert encoding.tokens[-6:] == ["[SEP]", "the", "city", "has", "fallen", "[SEP]"]
        own = encoding.tokens[1:-6]
        read += own if index == 0 else own[WINDOW_OVERLAP:]
    assert read == sentence.split()


def test_claim_of_any_length_leaves_room_for_the_sentence(tiny_artefact):
    tokenizer = load_tokenizer(tiny_artefact / TOKENIZER, 96)
    windows = encode(tokenizer, ["it fell", "the army " * 100], ["the city " * 60 + "has fallen"] * 2)
    assert windows.encodings[0].tokens[:4] == ["[CLS]", "it", "fell", "[SEP]"]
    assert windows.encodings[0].tokens[4:-1] == ["the", "city"] * 24
    assert len(windows.encodings) > 3


def test_encoding_is_the_same_after_a_round_trip(tiny_artefact, tmp_path):
    tokenizer = load_tokenizer(tiny_artefact / TOKENIZER, 96)
    tokenizer.save(str(tmp_path / "saved.json"))
    again = Tokenizer.from_file(str(tmp_path / "saved.json"))
    pair = (["the army holds the city"], ["the city has fallen"])
    assert encode(tokenizer, *pair).encodings[0].ids == encode(again, *pair).encodings[0].ids


def test_padding_is_masked(tiny_artefact):
    tokenizer = load_tokenizer(tiny_artefact / TOKENIZER, 96)
    windows = encode(tokenizer, ["it fell", "the army holds the town"], ["it has fallen"] * 2)
    inputs = pad(windows.encodings, pad_id=9)
    lengths = [len(encoding) for encoding in windows.encodings]
    assert inputs["attention_mask"].sum(axis=1).tolist() == lengths
    assert np.all(inputs["input_ids"][inputs["attention_mask"] == 0] == 9)


def test_no_pairs_make_no_windows(tiny_artefact):
    windows = encode(load_tokenizer(tiny_artefact / TOKENIZER, 96), [], [])
    assert windows.encodings == []
    assert windows.pair.shape == (0,)


def test_tokenisation_happens_in_one_file():
    sources = [*(ROOT / "serving").glob("*.py"), *(ROOT / "training").glob("*.py")]
    assert [path.name for path in sources if "encode_batch" in path.read_text()] == ["encoding.py"]
