"""Login, tokens, rights: by the identity provider, never by a URL."""

import httpx
import pytest


def bearers(viewer):
    """Tokens that the viewer's requests for data carried, each once, in order."""
    found = {}
    for asked in viewer.requests(r"^/(dicomweb|usage)/"):
        found.setdefault(asked.headers.get("authorization"), None)
    return list(found)


def test_every_request_carries_the_access_token(visit, guarded_site, login, studies):
    viewer = visit(guarded_site)
    viewer.open_list()
    assert sorted(viewer.patients()) == ["Juno", "Mira", "Uma"]
    viewer.open_study(studies.volume.study)
    viewer.until(lambda: viewer.requests(r"/frames/1$") or None, "a whole frame")
    viewer.until(lambda: viewer.requests(r"/thumbnail\?") or None, "a thumbnail")
    assert set(bearers(viewer)) <= {f"Bearer {token}" for token in login.access_tokens}
    assert login.refused == []


def test_no_request_leaves_the_origin_and_no_token_is_in_a_url(
    visit, guarded_site, login, studies
):
    viewer = visit(guarded_site)
    viewer.open_study(studies.volume.study)
    viewer.choose_layout("MPR")
    viewer.until(lambda: viewer.volumes() or None, "a volume")
    assert {asked.origin for asked in viewer.asked} == {guarded_site, login.base}
    urls = [asked.url for asked in viewer.asked]
    assert login.access_tokens
    assert not [url for url in urls for token in login.access_tokens if token in url]
    assert not [url for url in urls if "token=" in url]
    assert viewer.page.url.startswith(guarded_site)


def test_an_expiring_token_is_renewed_without_a_login(
    visit, guarded_site, login, studies
):
    # oidc-client-ts renews 60 s before the end.
    login.lifetime_s = 64
    viewer = visit(guarded_site)
    viewer.open_list()
    login.lifetime_s = 3600
    viewer.until(lambda: login.refreshes or None, "a renewed token")
    (first, second) = login.access_tokens
    viewer.until(
        lambda: viewer.bearer() == f"Bearer {second}" or None, "its being used"
    )
    viewer.launch("Mira")
    viewer.until(lambda: viewer.shown() or None, "a picture")
    assert bearers(viewer) == [f"Bearer {first}", f"Bearer {second}"]
    assert login.authorizations == 1


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({}, 200),
        ({"exp": 1}, 401),
        ({"client_id": "another"}, 401),
        ({"token_use": "id"}, 401),
        ({"cognito:groups": []}, 403),
    ],
)
def test_the_proxy_behind_the_viewer_checks_tokens(
    guarded_site, login, datastore_id, changed, status
):
    token = login.access_token(**changed)
    answer = httpx.get(
        f"{guarded_site}/dicomweb/eu-west-1/{datastore_id}/studies",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert answer.status_code == status, answer.text


def test_a_data_store_without_rights_shows_a_message(
    visit, guarded_site, login, studies
):
    login.groups = ()
    viewer = visit(guarded_site)
    viewer.page.goto(f"{guarded_site}/")
    viewer.page.get_by_text("no right to this data store").first.wait_for()
    assert "Juno" not in viewer.page.locator("#root").inner_text()


def test_logout_revokes_the_tokens(visit, guarded_site, login):
    viewer = visit(guarded_site)
    viewer.open_list()
    (token,) = login.access_tokens
    viewer.page.goto(f"{guarded_site}/logout")
    viewer.until(lambda: login.logged_out_to or None, "the logout page")
    assert login.logged_out_to == [f"{guarded_site}/"]
    viewer.until(lambda: token in login.revoked or None, "a revoked token")
