"""The settings page: region, data store and tile proxy, of those that are allowed."""

import json

import pytest
from support.ports import free_port


@pytest.fixture(scope="module")
def two_proxies(run_proxy, run_site, open_proxy, studies):
    """A site that offers a second tile proxy, of another origin; that one's URL."""
    port = free_port()
    origins = json.dumps([f"http://localhost:{port}"])
    with run_proxy(
        TLM_PROXY_AUTH_MODE="none", TLM_PROXY_CORS_ALLOW_ORIGINS=origins
    ) as address:
        second = f"http://{address}"
        with run_site(
            open_proxy, port=port, connect_src=second, proxy_urls=("", second)
        ) as origin:
            yield origin, second


def open_settings(viewer):
    viewer.page.goto(f"{viewer.origin}/settings")
    viewer.page.locator("#region").wait_for()


def save(viewer):
    viewer.page.get_by_role("button", name="Save").click()


def test_the_gear_menu_leads_to_the_settings(viewer):
    viewer.open_list()
    viewer.page.get_by_role("button", name="Open settings").click()
    viewer.page.get_by_text("Settings", exact=True).click()
    viewer.page.locator("#region").wait_for()
    assert viewer.page.url == f"{viewer.origin}/settings"


def test_another_data_store_is_read_after_saving(viewer, other_datastore_id, studies):
    open_settings(viewer)
    viewer.page.locator("#store").select_option("second")
    save(viewer)
    viewer.until(lambda: viewer.patients() == ["Otto"] or None, "the other's studies")
    assert viewer.requests(f"^/dicomweb/eu-west-1/{other_datastore_id}/studies")
    # and still after loading anew
    viewer.open_list()
    assert viewer.patients() == ["Otto"]


def test_another_region_is_asked_after_saving(viewer, datastore_id):
    open_settings(viewer)
    viewer.page.locator("#region").select_option("us-west-2")
    save(viewer)
    root = f"^/dicomweb/us-west-2/{datastore_id}/studies"
    viewer.until(lambda: viewer.requests(root) or None, "a query of the other region")


@pytest.mark.parametrize(
    "url", ["https://tiles.example.org", "http://localhost:1/x", "not a url"]
)
def test_a_proxy_that_is_not_listed_is_refused(viewer, url):
    open_settings(viewer)
    viewer.page.locator("#proxy").fill(url)
    save(viewer)
    alert = viewer.page.locator("form [role=alert]")
    viewer.until(lambda: alert.inner_text() or None, "a message")
    assert url in alert.inner_text()
    assert viewer.page.url == f"{viewer.origin}/settings"
    viewer.open_list()
    assert {asked.origin for asked in viewer.asked} == {viewer.origin}


def test_a_listed_proxy_of_another_origin_is_used(visit, two_proxies, studies):
    origin, second = two_proxies
    viewer = visit(origin)
    open_settings(viewer)
    viewer.page.locator("#proxy").fill(second)
    save(viewer)
    viewer.until(lambda: "Juno" in viewer.patients() or None, "the studies")
    viewer.open_study(studies.volume.study)
    hosts = {asked.origin for asked in viewer.requests("^/dicomweb/")}
    assert hosts == {second}
