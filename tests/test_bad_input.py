"""Bad input over HTTP: always one error shape, never a 500, never the caller's text, and the next request works.

{"error": "<one sentence>", "error_type": "validation", "details": [{"loc": ["items", 0, "place"], "msg": "..."}]}
"""

import json

import pytest

MARKER = "Zanzibarquux"
"""Stands in every bad request, and must come back in no answer and no log line."""

GOOD = {"items": [{"sentence": "The town has fallen.", "place": "Sake"}]}
GOOD_BODY = json.dumps(GOOD).encode()
TOO_LONG = (MARKER * 200)[:2001]


def item(**fields):
    return {"items": [{"sentence": f"{MARKER} has fallen.", **fields}]}


def check_error(answer, status, error_type):
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert set(body) == {"error", "error_type", "details"}
    assert body["error_type"] == error_type
    assert body["error"]
    assert "\n" not in body["error"]
    for detail in body["details"]:
        assert set(detail) == {"loc", "msg"}
    assert MARKER not in answer.text
    return body


CLASSIFY = {
    "nothing": b"",
    "not JSON": MARKER.encode(),
    "cut off": b'{"items": [{"sentence": "' + MARKER.encode(),
    "a list": json.dumps([MARKER]).encode(),
    "null": b"null",
    "a number": b"3",
    "no items": b"{}",
    "items null": b'{"items": null}',
    "items a text": json.dumps({"items": MARKER}).encode(),
    "no item": b'{"items": []}',
    "257 items": json.dumps({"items": item()["items"] * 257}).encode(),
    "item a text": json.dumps({"items": [MARKER]}).encode(),
    "no sentence": json.dumps({"items": [{"place": MARKER}]}).encode(),
    "sentence null": json.dumps(item(sentence=None)).encode(),
    "sentence a number": json.dumps(item(sentence=7)).encode(),
    "sentence a list": json.dumps(item(sentence=[MARKER])).encode(),
    "sentence empty": json.dumps(item(sentence="")).encode(),
    "sentence blank": json.dumps(item(sentence=" \t\n\u00a0")).encode(),
    "sentence too long": json.dumps(item(sentence=TOO_LONG)).encode(),
    "sentence with NUL": json.dumps(item(sentence=f"{MARKER}\0")).encode(),
    "lone surrogate": b'{"items": [{"sentence": "' + MARKER.encode() + b' \\ud800"}]}',
    "invalid UTF-8": b'{"items": [{"sentence": "' + MARKER.encode() + b' \xff\xfe"}]}',
    "UTF-16": json.dumps(item()).encode("utf-16"),
    "raw control character": b'{"items": [{"sentence": "' + MARKER.encode() + b'\n"}]}',
    "NaN": b'{"items": NaN}',
    "place empty": json.dumps(item(place="")).encode(),
    "place blank": json.dumps(item(place="  ")).encode(),
    "place too long": json.dumps(item(place=TOO_LONG[:101])).encode(),
    "place a list": json.dumps(item(place=[MARKER])).encode(),
    "attacker a number": json.dumps(item(attacker=1)).encode(),
    "attacker too long": json.dumps(item(attacker=TOO_LONG[:101])).encode(),
    "unknown field": json.dumps(item(**{MARKER: 1})).encode(),
    "unknown field outside": json.dumps({**GOOD, MARKER: MARKER}).encode(),
    "deep nesting": b"[" * 100_000,
    "deep nesting inside": b'{"items": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 100_000,
}
ANALYZE = {
    "no text": b"{}",
    "text empty": b'{"text": ""}',
    "text blank": b'{"text": " \\n "}',
    "text too long": json.dumps({"text": (MARKER * 20_000)[:200_001]}).encode(),
    "text with NUL": json.dumps({"text": f"{MARKER}\0"}).encode(),
    "text a list": json.dumps({"text": [MARKER]}).encode(),
    "title too long": json.dumps({"text": "It fell.", "title": TOO_LONG}).encode(),
    "published no date": json.dumps({"text": "It fell.", "published": MARKER}).encode(),
    "place blank": json.dumps({"text": MARKER, "place": " "}).encode(),
    "unknown field": json.dumps({"text": MARKER, MARKER: 1}).encode(),
}


@pytest.mark.parametrize("body", CLASSIFY.values(), ids=CLASSIFY.keys())
def test_classify_refuses(client, body):
    check_error(client.post("/classify", content=body), 400, "validation")


@pytest.mark.parametrize("body", ANALYZE.values(), ids=ANALYZE.keys())
def test_analyze_refuses(client, body):
    check_error(client.post("/analyze", content=body), 400, "validation")


def test_every_fault_is_named_where_it_is(client):
    items = [{"sentence": "Fine."}, {"sentence": "", "place": 3}, {"sentence": "Fine.", "wat": 1}]
    body = check_error(client.post("/classify", json={"items": items}), 400, "validation")
    assert [detail["loc"] for detail in body["details"]] == [
        ["items", 1, "sentence"],
        ["items", 1, "place"],
        ["items", 2],
    ]
    assert "items.1.sentence" in body["error"]
    assert "2 more" in body["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/nowhere",
        f"/{MARKER}",
        "/classify/",
        "/classify%0A",
        "/%00",
        "/..%2fetc",
        "/static_content/index.css",
    ],
)
def test_unknown_path(client, path):
    check_error(client.post(path, content=GOOD_BODY), 404, "not_found")
    check_error(client.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/classify"),
        ("PUT", "/classify"),
        ("DELETE", "/analyze"),
        ("OPTIONS", "/classify"),
        ("POST", "/info"),
        ("POST", "/"),
    ],
)
def test_wrong_method(client, method, path):
    answer = client.request(method, path)
    check_error(answer, 405, "method_not_allowed")
    assert answer.headers["allow"]


def test_body_over_the_limit(client):
    check_error(client.post("/classify", content=b" " * (8 << 20) + b" "), 413, "payload_too_large")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/vnd.bentoml+pickle",
        "multipart/form-data",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/vnd.bentoml+parquet",
    ],
)
def test_body_is_json_whatever_it_is_called(client, content_type):
    headers = {"Content-Type": content_type}
    assert client.post("/classify", json=GOOD, headers=headers).status_code == 200
    check_error(client.post("/classify", content=b"\x80\x04.", headers=headers), 400, "validation")


def test_content_type_that_is_no_text(client):
    assert client.post("/classify", content=GOOD_BODY, headers={"Content-Type": b"\xff"}).status_code == 200


def test_many_faults_are_counted_and_the_first_told(client):
    items = [{"sentence": "", **{f"{MARKER}{index}": 1 for index in range(100)}}]
    body = check_error(client.post("/classify", json={"items": items}), 400, "validation")
    assert len(body["details"]) == 20
    assert "100 more" in body["error"]


def test_text_that_the_splitter_cannot_read_as_it_is(client):
    answer = client.post("/analyze", json={"text": "What should I\u00a0.\u00a0.\u00a0. do? Plan B\u2009."})
    assert answer.status_code == 200


def test_after_all_that_the_next_request_works_and_the_log_is_clean(client, service):
    for path, bodies in (("/classify", CLASSIFY), ("/analyze", ANALYZE)):
        for body in bodies.values():
            client.post(path, content=body)
    client.post(f"/{MARKER}", headers={"Content-Type": MARKER})
    client.post("/classify", json={"items": [{"sentence": f"{MARKER} has fallen.", "place": MARKER}]})
    assert client.post("/classify", json=GOOD).status_code == 200
    log = service.log.read_text()
    assert MARKER not in log
    assert "Traceback" not in log
