"""The contract over HTTP, asked of the real service with the released model."""

import concurrent.futures

import httpx
import numpy as np
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from serving.artefact import RELEASED, load_artefact
from serving.stance import STANCES, claim
from tests.conftest import RunningService, running_service

ITEMS = [
    {"sentence": "The governor dismissed reports that Panjshir had fallen.", "place": "Panjshir"},
    {"sentence": "Rebels captured Kunduz on Monday after the garrison fled the city.", "place": "Kunduz"},
    {"sentence": "It was not clear on Friday who controlled the town.", "place": "Sake", "attacker": "M23"},
    {"sentence": "The price of wheat rose for the third week.", "place": None},
    {"sentence": "The province is ours, the rebels said."},
]
ARTICLE = "Rebels captured Kunduz, they said. The governor denied it: the city has not fallen. Wheat prices rose."


def test_predictions_come_in_order_and_equal_the_classifier(client, released_classifier):
    answer = client.post("/classify", json={"items": ITEMS}).raise_for_status().json()
    assert answer["model"] == f"stance:{load_artefact(RELEASED).version}"
    expected = released_classifier.predict_proba(
        [item["sentence"] for item in ITEMS],
        [claim(item.get("place"), item.get("attacker")) for item in ITEMS],
    )
    assert len(answer["predictions"]) == len(ITEMS)
    for prediction, row in zip(answer["predictions"], expected, strict=True):
        assert set(prediction) == {"stance", "probabilities", "confident"}
        assert list(prediction["probabilities"]) == list(STANCES)
        np.testing.assert_allclose(list(prediction["probabilities"].values()), row, atol=1e-4)
        assert prediction["stance"] == STANCES[int(row.argmax())]
        assert prediction["confident"] == bool(released_classifier.confident(row[np.newaxis])[0])
        assert sum(prediction["probabilities"].values()) == pytest.approx(1)


def test_place_and_attacker_change_the_claim(client):
    sentence = "Government forces recaptured Harib from the Houthis on Tuesday."
    items = [
        {"sentence": sentence, "place": "Harib"},
        {"sentence": sentence, "place": "Harib", "attacker": "the army"},
        {"sentence": sentence, "place": "Kandahar"},
    ]
    answer = client.post("/classify", json={"items": items}).raise_for_status().json()
    plain, attacked, elsewhere = (prediction["probabilities"] for prediction in answer["predictions"])
    assert plain != attacked
    assert elsewhere["comment"] > plain["comment"]


def test_items_at_every_bound_are_answered(client):
    long = [{"sentence": ("word " * 400)[:2000], "place": "p" * 100, "attacker": "a" * 100}] * 16
    assert len(client.post("/classify", json={"items": long}).json()["predictions"]) == 16
    short = [{"sentence": f"Day {index}: the town held."} for index in range(256)]
    assert len(client.post("/classify", json={"items": short}).json()["predictions"]) == 256


def test_names_that_break_into_many_tokens_are_answered(client):
    items = [{"sentence": "각" * 2000, "place": "각" * 100, "attacker": "각" * 100}]
    assert client.post("/classify", json={"items": items}).status_code == 200


def test_callers_at_the_same_time_get_their_own_answers(client):
    def ask(number: int) -> tuple[dict, dict]:
        item = ITEMS[number % len(ITEMS)]
        return item, client.post("/classify", json={"items": [item]}).raise_for_status().json()

    alone = [client.post("/classify", json={"items": [item]}).json()["predictions"][0] for item in ITEMS]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for item, answer in pool.map(ask, range(64)):
            expected = alone[ITEMS.index(item)]["probabilities"]
            assert answer["predictions"][0]["probabilities"] == pytest.approx(expected, abs=1e-4)


def test_article_is_answered_sentence_by_sentence(client):
    request = {"text": ARTICLE, "place": "Kunduz", "title": "Kunduz has fallen", "published": "2021-08-08"}
    answer = client.post("/analyze", json=request).raise_for_status().json()
    assert set(answer) == {"model", "place", "claim", "sentences", "summary"}
    assert (answer["place"], answer["claim"]) == ("Kunduz", "Kunduz has fallen")
    assert len(answer["sentences"]) == 3
    for sentence in answer["sentences"]:
        assert ARTICLE[sentence["start"] : sentence["end"]] == sentence["text"]
        assert sentence["holder"] is None
    assert sum(answer["summary"]["counts"].values()) == 4, "the title counts"
    assert answer["summary"]["holders"] == []


def test_article_equals_its_sentences_classified(client):
    answer = client.post("/analyze", json={"text": ARTICLE, "attacker": "the rebels"}).json()
    assert answer["claim"] == "The province has fallen to the rebels"
    items = [{"sentence": s["text"], "attacker": "the rebels"} for s in answer["sentences"]]
    predictions = client.post("/classify", json={"items": items}).json()["predictions"]
    for sentence, prediction in zip(answer["sentences"], predictions, strict=True):
        assert sentence["stance"] == prediction["stance"]
        assert sentence["probabilities"] == pytest.approx(prediction["probabilities"], abs=1e-4)


def test_offsets_count_code_points(client):
    text = "🇦🇫🇦🇫 Şuşa is ours! Ça va? The town fell."
    sentences = client.post("/analyze", json={"text": text}).json()["sentences"]
    assert [s["text"] for s in sentences] == ["🇦🇫🇦🇫 Şuşa is ours!", "Ça va?", "The town fell."]
    assert [text[s["start"] : s["end"]] for s in sentences] == [s["text"] for s in sentences]


def test_info_tells_the_model_and_its_limits(client):
    info = client.get("/info").raise_for_status().json()
    artefact = load_artefact(RELEASED)
    assert info["model"] == f"stance:{artefact.version}"
    assert info["labels"] == list(STANCES)
    assert info["metrics"] == artefact.metrics
    assert info["limits"]["items"] == 256
    assert info["dataset_sha256"] == artefact.config.dataset_sha256


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz", "/metrics", "/"])
def test_path_answers(client, path):
    assert client.get(path).status_code == 200


def test_metrics_count_by_route_and_hold_no_word_of_a_caller(client):
    for _ in range(3):
        client.get("/Zanzibarquux/secret")
    client.post("/classify", json={"items": ITEMS})
    text = client.get("/metrics").text
    assert "Zanzibarquux" not in text
    counted = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[0] != "#"}
    assert counted['stance_requests_total{route="other",status="404"}'] >= 3
    assert counted['stance_requests_total{route="/classify",status="200"}'] >= 1
    assert counted['stance_request_seconds_count{route="/classify"}'] >= 1


def test_first_page_loads_nothing_from_elsewhere(client):
    page = client.get("/")
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert page.headers["content-security-policy"] == "default-src 'none'"


def test_description_is_valid_openapi_and_names_every_error(client):
    document = client.get("/docs.json").json()
    OpenAPIV31SpecValidator(document).validate()
    assert document["openapi"].startswith("3.1")
    for path in ("/classify", "/analyze"):
        assert {"200", "400", "401", "413", "429", "503", "504"} <= set(document["paths"][path]["post"]["responses"])


@pytest.fixture(scope="module")
def closed_service(tmp_path_factory) -> RunningService:
    log = tmp_path_factory.mktemp("closed") / "log.txt"
    settings = {
        "STANCE_API_KEYS": "first-key, zweiter-schlüssel",
        "STANCE_HOST": "127.0.0.1",
        "STANCE_MAX_BODY_BYTES": "5000",
        "STANCE_CORS_ORIGINS": "https://newsroom.example",
    }
    with running_service(log, **settings) as running:
        yield running


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer wrong", "Basic first-key", "first-key", "Bearer " + "x" * 20_000],
)
@pytest.mark.parametrize("path", ["/", "/info", "/docs.json", "/metrics", "/classify", "/nowhere", "/schema.json"])
def test_without_a_key_all_but_health_is_closed(closed_service, path, header):
    headers = {} if header is None else {"Authorization": header}
    answer = httpx.get(closed_service.url + path, headers=headers)
    assert answer.status_code == 401
    assert answer.json()["error_type"] == "authentication"
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("key", ["first-key", "zweiter-schlüssel"])
def test_each_key_opens(closed_service, key):
    headers = {"Authorization": f"Bearer {key}".encode()}
    answer = httpx.post(closed_service.url + "/classify", json={"items": ITEMS}, headers=headers, timeout=30)
    assert answer.status_code == 200
    assert httpx.get(closed_service.url + "/docs.json", headers=headers).json()["security"] == [{"key": []}]


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health_needs_no_key(closed_service, path):
    assert httpx.get(closed_service.url + path).status_code == 200


def test_body_over_the_limit_is_refused_announced_or_streamed(closed_service):
    headers = {"Authorization": "Bearer first-key"}
    body = b'{"items": [{"sentence": "' + b"a" * 6000 + b'"}]}'
    chunks = (body[start : start + 100] for start in range(0, len(body), 100))
    for content in (body, chunks):
        answer = httpx.post(closed_service.url + "/classify", content=content, headers=headers)
        assert answer.status_code == 413
        assert answer.json()["error_type"] == "payload_too_large"


def test_browsers_of_the_set_origin_may_call_and_read_errors(closed_service):
    origin = {"Origin": "https://newsroom.example"}
    preflight = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    assert httpx.options(closed_service.url + "/classify", headers=preflight).status_code == 200
    refused = httpx.post(closed_service.url + "/classify", headers=origin)
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == origin["Origin"]
    other = httpx.post(closed_service.url + "/classify", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in other.headers
