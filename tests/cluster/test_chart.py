"""The product chart against a real API server: every field is one it knows."""

import pytest
import yaml
from support.rendering import PROFILES, render

# Kinds of other products, which this cluster does not have.
FOREIGN = {"cert-manager.io/v1", "eks.amazonaws.com/v1", "monitoring.coreos.com/v1"}


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_api_server_takes_all_of_it(profile, kubectl, namespace):
    files, sets = PROFILES[profile]
    manifests = [
        manifest
        for (kind, _), manifest in render(*files, sets=sets).items()
        if kind != "CustomResourceDefinition" and manifest["apiVersion"] not in FOREIGN
    ]
    for manifest in manifests:
        manifest["metadata"].pop("namespace", None)
        for subject in manifest.get("subjects", ()):
            subject["namespace"] = namespace
        for port in manifest["spec"].get("ports", ()) if "spec" in manifest else ():
            # A node port may be in use by a release on this cluster.
            port.pop("nodePort", None)
        if manifest["kind"] == "Pod":
            # A pod's account must be there; a dry run makes none.
            manifest["spec"].pop("serviceAccountName", None)
    answer = kubectl(
        *("apply", "--dry-run=server", "--validate=strict", "-n", namespace),
        *("-f", "-"),
        stdin=yaml.safe_dump_all(manifests),
    )
    assert answer.stdout.count("created (server dry run)") == len(manifests)
    assert "Warning" not in answer.stderr, "Pod Security admission warns of violations"
