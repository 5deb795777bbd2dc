"""The viewer's part of the chart: platform.json, origins, routes."""

import json

import pytest
from support.rendering import CHART, HelmError, environment, render, workloads

EVERYTHING = CHART / "ci" / "everything.yaml"
STORE = "0123456789abcdef0123456789abcdef"


def platform(manifests):
    return json.loads(
        manifests["ConfigMap", "isocenter-viewer"]["data"]["platform.json"]
    )


def viewer_environment(manifests):
    return environment(workloads(manifests)["isocenter-viewer"])


def test_the_least_has_one_store_and_the_proxys_own_login(minimal):
    manifests = render(minimal)
    assert platform(manifests) == {
        "stores": [
            {
                "name": "main",
                "friendlyName": "Main data store",
                "region": "eu-west-1",
                "datastoreId": STORE,
            }
        ],
        "proxyUrls": [""],
        "oidc": {
            "authority": "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_Example12",
            "clientId": "exampleclientid",
            "scope": "openid profile email",
            "cognito": True,
        },
        "ohif": {},
    }
    assert viewer_environment(manifests) == {
        "VIEWER_CONNECT_SRC": "https://example.auth.eu-west-1.amazoncognito.com"
        " https://cognito-idp.eu-west-1.amazonaws.com",
        "VIEWER_PROXY": "isocenter-tlm-proxy:80",
    }


def test_everything_reaches_the_page():
    manifests = render(EVERYTHING)
    page = platform(manifests)
    assert [each["name"] for each in page["stores"]] == ["clinic", "trials"]
    assert page["stores"][1]["friendlyName"] == "trials"
    assert page["proxyUrls"] == ["", "https://tiles.example.org/us"]
    assert page["oidc"] == {
        "authority": "https://login.example.org/realms/imaging",
        "clientId": "viewer",
        "scope": "openid offline_access",
        "cognito": False,
    }
    assert page["ohif"]["investigationalUseDialog"]["option"] == "configure"
    assert viewer_environment(manifests)["VIEWER_CONNECT_SRC"].split() == [
        "https://keys.example.org",
        "https://tiles.example.org",
        "https://login.example.org",
    ]


def test_no_login_where_the_proxy_asks_for_none(minimal):
    manifests = render(minimal, sets=("tlmProxy.config.auth_mode=none",))
    assert platform(manifests)["oidc"] is None


def test_an_issuer_without_cognito_needs_a_client(minimal):
    oidc = (
        "tlmProxy.config.auth_mode=oidc",
        "tlmProxy.config.oidc_issuer=https://login.example.org",
        "viewer.config.oidc.origins=null",
    )
    with pytest.raises(HelmError, match=r"viewer.config.oidc.client_id is required"):
        render(minimal, sets=oidc)
    page = platform(render(minimal, sets=(*oidc, "viewer.config.oidc.client_id=web")))
    assert page["oidc"]["authority"] == "https://login.example.org"
    assert page["oidc"]["cognito"] is False


def test_pages_log_in_as_the_first_of_several_clients(minimal):
    several = r"tlmProxy.config.cognito_client_id=web\, notebooks"
    assert platform(render(minimal, sets=(several,)))["oidc"]["clientId"] == "web"
    none = "tlmProxy.config.cognito_client_id=null"
    with pytest.raises(HelmError, match=r"viewer.config.oidc.client_id is required"):
        render(minimal, sets=(none,))


def test_the_proxy_is_given_the_time_to_drain(minimal):
    def grace(*sets):
        pod = workloads(render(minimal, sets=sets))["isocenter-tlm-proxy"]
        return pod["spec"]["terminationGracePeriodSeconds"]

    assert grace() == 30
    assert grace("tlmProxy.config.drain_s=120") == 130


def store(region: str) -> tuple[str, ...]:
    return tuple(
        f"viewer.config.stores[0].{key}={value}"
        for key, value in {
            "name": "far",
            "region": region,
            "datastore_id": STORE,
        }.items()
    )


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("viewer.config.oidc.origins=null",), "oidc.origins is required"),
        (("tlmProxy.enabled=false",), "proxy_urls is required"),
        (store("us-west-2"), "far is in us-west-2, which the tile proxy"),
        (("ingress.enabled=true",), "ingress.host is required"),
    ],
)
def test_what_does_not_fit_is_named(minimal, sets, said):
    with pytest.raises(HelmError, match=said):
        render(minimal, sets=sets)


@pytest.mark.parametrize(
    "sets",
    [
        ("viewer.config.stores[0].name=isocenter", *store("eu-west-1")[1:]),
        ("viewer.config.stores[0].name=Clinic Zoo", *store("eu-west-1")[1:]),
        ("viewer.config.stores[0].name=near",),
    ],
)
def test_stores_are_checked_by_the_schema(minimal, sets):
    with pytest.raises(HelmError, match="stores"):
        render(minimal, sets=sets)


def test_a_region_that_is_served_or_a_proxy_elsewhere_will_do(minimal):
    served = "tlmProxy.config.regions[0]=us-west-2"
    elsewhere = "viewer.config.proxy_urls[0]=https://tiles.example.org"
    for more in (served, elsewhere):
        page = platform(render(minimal, sets=(*store("us-west-2"), more)))
        assert page["stores"][0]["region"] == "us-west-2"


def test_a_changed_platform_rolls_the_pods(minimal):
    def annotations(*sets):
        pod = workloads(render(minimal, sets=sets))["isocenter-viewer"]
        return pod["metadata"]["annotations"]

    assert annotations() == annotations()
    assert annotations() != annotations("viewer.config.oidc.scope=openid")


def test_one_host_for_viewer_and_proxy():
    ingress = render(EVERYTHING)["Ingress", "isocenter"]
    (rule,) = ingress["spec"]["rules"]
    routes = {
        path["path"]: path["backend"]["service"] for path in rule["http"]["paths"]
    }
    proxy = {"name": "isocenter-tlm-proxy", "port": {"name": "http"}}
    assert routes == {
        "/dicomweb": proxy,
        "/usage": proxy,
        "/datastore": proxy,
        "/": {"name": "isocenter-viewer", "port": {"name": "http"}},
    }
    assert rule["host"] == "imaging.example.org"
    assert ingress["spec"]["ingressClassName"] == "nginx"
    assert ingress["spec"]["tls"] == [
        {"hosts": ["imaging.example.org"], "secretName": "imaging-tls"}
    ]


def test_there_is_no_ingress_unless_asked_for(minimal):
    assert ("Ingress", "isocenter") not in render(minimal)
