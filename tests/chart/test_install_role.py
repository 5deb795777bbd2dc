"""docs/examples/install-role.yaml has the rights that every profile needs."""

import pytest
import yaml
from support.rendering import PROFILES, ROOT, render

# As the API calls kinds whose plural is not made with an s.
PLURALS = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}
NO_CLUSTER_WIDE = ("crds.enabled=false", "ingress.alb.createClass=false")


@pytest.fixture(scope="module")
def role():
    """Verbs by (group, resource)."""
    text = (ROOT / "docs/examples/install-role.yaml").read_text()
    granted = {}
    for rule in next(yaml.safe_load_all(text))["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                granted.setdefault((group, resource), set()).update(rule["verbs"])
    return granted


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_it_may_make_change_and_remove_all_of_it(profile, role):
    files, sets = PROFILES[profile]
    for manifest in render(*files, sets=(*sets, *NO_CLUSTER_WIDE)).values():
        group, _, _ = manifest["apiVersion"].rpartition("/")
        kind = manifest["kind"]
        resource = PLURALS.get(kind, f"{kind.lower()}s")
        needed = {"get", "create", "delete"} | (set() if kind == "Pod" else {"patch"})
        assert needed <= role[group, resource], f"{profile}: {kind}"


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_it_has_what_the_charts_own_roles_give(profile, role):
    """Kubernetes refuses a Role with more rights than whoever makes it has."""
    files, sets = PROFILES[profile]
    for (kind, name), manifest in render(*files, sets=sets).items():
        for rule in manifest["rules"] if kind == "Role" else ():
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    assert set(rule["verbs"]) <= role[group, resource], name
