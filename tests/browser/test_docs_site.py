"""The documentation's site: search finds a page, and nothing leaves its origin."""

import functools
import os
import subprocess
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments):
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "-d", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        check=True,
    )
    handler = functools.partial(Quiet, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_search_finds_a_page_and_nothing_leaves_the_origin(site, browser, artefacts):
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    asked = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.goto(f"{site}/index.html")
    page.locator(".md-search__input").first.click()
    page.keyboard.type("ImageSetNotActive")
    found = page.locator(".md-search-result__link", has_text="ImageSetNotActive")
    found.first.wait_for(timeout=20_000)
    artefacts.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=artefacts / "docs-search.png")
    found.first.click()
    page.wait_for_url("**/troubleshooting.html*")
    page.goto(f"{site}/tutorial.html")
    page.screenshot(path=artefacts / "docs-tutorial.png")
    page.goto(f"{site}/explanation/limits.html")
    context.close()
    outside = [url for url in asked if not url.startswith((site, "data:", "blob:"))]
    assert outside == []
    assert any("search" in url for url in asked)
