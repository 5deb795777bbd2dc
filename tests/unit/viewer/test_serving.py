"""nginx as serve.sh configures it, on loopback."""

import json
import re

import pytest

BUNDLE = "/app.bundle.0f6159c501addfe9.js"
TYPES = {
    "/": "text/html",
    BUNDLE: "text/javascript",
    "/isocenter/extension.mjs": "text/javascript",
    "/app.bundle.css": "text/css",
    "/0ddf166f7a343eda.wasm": "application/wasm",
    "/assets/icon.png": "image/png",
    "/platform.json": "application/json",
}
IMMUTABLE = "public, max-age=31536000, immutable"


@pytest.fixture(scope="module")
def viewer(serve):
    return serve(VIEWER_CONNECT_SRC="https://tiles.example.org https://id.example.org")


def policy(answer) -> dict[str, str]:
    text = answer.headers["content-security-policy"]
    return dict(part.strip().split(" ", 1) for part in text.split(";"))


def test_each_kind_of_file_has_its_type_and_no_other_is_guessed(viewer):
    for path, media_type in TYPES.items():
        answer = viewer.http.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].split(";")[0] == media_type, path
        assert answer.headers["x-content-type-options"] == "nosniff", path
        assert answer.headers["referrer-policy"] == "no-referrer", path


@pytest.mark.parametrize(
    "path",
    [
        "/viewer?StudyInstanceUIDs=1.2.3",
        "/viewer/main?StudyInstanceUIDs=1.2.3",
        "/settings",
        "/callback?code=x&state=y",
        "/runs?StudyInstanceUIDs=1.2.3",
        "/segmentation",
        "/tmtv",
        "/logout",
    ],
)
def test_pages_of_the_app_are_its_index(viewer, path):
    answer = viewer.http.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    ["/missing.js", "/9.bundle.0123456789abcdef.js", "/viewer/x.wasm", "/ort/ort.mjs"],
)
def test_a_missing_file_is_not_found_and_not_kept(viewer, path):
    answer = viewer.http.get(path)
    assert answer.status_code == 404
    assert answer.headers["cache-control"] == "no-cache"


def test_only_names_with_a_hash_are_kept(viewer):
    kept = {path: viewer.http.get(path).headers["cache-control"] for path in TYPES}
    assert kept[BUNDLE] == kept["/0ddf166f7a343eda.wasm"] == IMMUTABLE
    assert kept.pop("/platform.json") == "no-store"
    assert {
        value for path, value in kept.items() if not re.search("[0-9a-f]{16}", path)
    } == {"no-cache"}


def test_unchanged_files_are_not_sent_again(viewer):
    first = viewer.http.get("/app-config.js")
    again = viewer.http.get(
        "/app-config.js", headers={"If-None-Match": first.headers["etag"]}
    )
    assert again.status_code == 304
    kept = viewer.http.get(BUNDLE)
    again = viewer.http.get(BUNDLE, headers={"If-None-Match": kept.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"]) == (304, IMMUTABLE)


@pytest.mark.parametrize(
    ("accepted", "given"),
    [("br, gzip", "br"), ("gzip", "gzip"), ("identity", None)],
)
def test_what_was_compressed_ahead_is_sent(viewer, accepted, given):
    answer = viewer.http.get(BUNDLE, headers={"Accept-Encoding": accepted})
    assert answer.headers.get("content-encoding") == given
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "vary" in answer.headers
    if given != "br":  # httpx has no brotli here
        assert answer.text.startswith("console.log")


def test_documents_may_not_evaluate_text_and_scripts_may(viewer):
    for path, allowed in {
        "/": False,
        "/viewer": False,
        "/platform.json": False,
        BUNDLE: True,
        "/isocenter/extension.mjs": True,
    }.items():
        sources = policy(viewer.http.get(path))["script-src"].split()
        assert ("'unsafe-eval'" in sources) is allowed, path
        assert "'wasm-unsafe-eval'" in sources


def test_pages_may_call_only_what_the_installation_names(viewer):
    found = policy(viewer.http.get("/"))
    assert (
        found["connect-src"]
        == "'self' https://tiles.example.org https://id.example.org"
    )
    assert found["default-src"] == "'self'"
    assert found["object-src"] == "'none'"
    assert found["frame-ancestors"] == "'self'"


def test_health(viewer):
    assert viewer.http.get("/healthz").text == "ok\n"
    assert viewer.http.get("/readyz").status_code == 200


def test_without_a_proxy_there_is_nothing_to_forward_to(viewer):
    assert viewer.http.get("/dicomweb/us-east-1/x/studies").status_code == 404


def test_the_tile_proxy_is_passed_through_as_it_comes(serve, tile_proxy):
    viewer = serve(VIEWER_PROXY=tile_proxy.address)
    path = "/dicomweb/us-east-1/x/studies?PatientName=*ju%20no*"
    request = viewer.http.build_request(
        "GET", path, headers={"Authorization": "Bearer abc", "Range": "bytes=0-4"}
    )
    answer = viewer.http.send(request, stream=True)
    pieces = answer.iter_raw()
    assert next(pieces) == b"first", "the second half is not sent yet"
    tile_proxy.second_piece.set()
    assert b"".join(pieces) == b"later"
    assert answer.headers["cache-control"] == "private, immutable"
    assert "content-security-policy" not in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"
    ((seen, headers),) = tile_proxy.seen
    assert seen == path
    assert headers["Authorization"] == "Bearer abc"
    assert headers["Range"] == "bytes=0-4"


@pytest.mark.parametrize(
    "path", ["/datastore/x/imageSet/y", "/metrics", "/dicomwebs/x"]
)
def test_nothing_else_of_the_proxy_is_reached(serve, tile_proxy, path):
    tile_proxy.second_piece.set()
    viewer = serve(VIEWER_PROXY=tile_proxy.address)
    assert "html" in viewer.http.get(path).headers["content-type"]
    assert viewer.http.get("/usage/us-east-1/x/studies/1.2").text == "firstlater"
    assert [seen for seen, _ in tile_proxy.seen] == ["/usage/us-east-1/x/studies/1.2"]


def test_no_query_is_logged_even_when_the_proxy_fails(serve):
    viewer = serve(VIEWER_PROXY="127.0.0.1:1")
    failed = viewer.http.get("/dicomweb/us-east-1/x/studies?PatientName=JUNO^ANNA")
    assert failed.status_code == 502
    viewer.http.get("/callback?code=SECRET", headers={"Referer": "http://x/?q=JUNO"})
    text = viewer.stop()
    assert "JUNO" not in text
    assert "SECRET" not in text
    logged = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert [(each["path"], each["status"]) for each in logged] == [
        ("/dicomweb/us-east-1/x/studies", 502),
        ("/callback", 200),
    ]
    assert logged[0]["upstream"] == "502"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VIEWER_LISTEN", "8080; root /"),
        ("VIEWER_PROXY", "http://proxy:80"),
        ("VIEWER_PROXY", "proxy:80; }"),
        ("VIEWER_CONNECT_SRC", "https://tiles.example.org/path"),
        ("VIEWER_CONNECT_SRC", "*"),
        ("VIEWER_ROOT", "/nowhere"),
        ("VIEWER_PLATFORM", "/nowhere.json"),
    ],
)
def test_a_wrong_setting_stops_the_start_by_name(serve, name, value):
    viewer = serve(**{name: value})
    assert viewer.process.wait(5) == 2
    assert name in viewer.log.read_text()
