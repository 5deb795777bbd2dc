import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import MaxRetryError

from isocenter.core.errors import ConfigurationError
from isocenter.operator.errors import (
    ClusterError,
    ConflictError,
    GoneError,
    RejectedError,
)
from isocenter.operator.startup import require_definitions


@pytest.mark.parametrize(
    ("failure", "kind", "retryable"),
    [
        (ApiException(status=404, reason="x"), GoneError, False),
        (ApiException(status=403, reason="x"), RejectedError, False),
        (ApiException(status=422, reason="x"), RejectedError, False),
        (ApiException(status=409, reason="x"), ConflictError, True),
        (ApiException(status=429, reason="x"), ClusterError, True),
        (ApiException(status=500, reason="x"), ClusterError, True),
        (MaxRetryError(None, "/apis"), ClusterError, True),
        (ConnectionResetError(), ClusterError, True),
    ],
)
def test_errors_are_translated(cluster, api, failure, kind, retryable):
    api.failures = [failure]
    with pytest.raises(ClusterError) as caught:
        cluster.resource("trainingruns", "a-run")
    assert type(caught.value) is kind
    assert caught.value.retryable is retryable
    assert "imaging/a-run" in str(caught.value)


def test_the_api_servers_words_are_passed_on(cluster, api, run_body):
    api.failures = [
        ApiException(status=422, reason="x", body='{"message": "spec.pipeline: wrong"}')
    ]
    with pytest.raises(RejectedError, match=r"spec\.pipeline: wrong"):
        cluster.create("trainingruns", run_body)


def test_create_twice_and_list_all_pages(cluster, run_body):
    for name in "abcde":
        body = run_body | {"metadata": {"name": name}}
        assert cluster.create("trainingruns", body)
        assert not cluster.create("trainingruns", body)
    found = [b["metadata"]["name"] for b in cluster.resources("trainingruns")]
    assert found == list("abcde")


def test_a_status_is_patched_only_as_it_was_read(cluster, run_body):
    cluster.create("trainingruns", run_body)
    read = cluster.resource("trainingruns", "a-run")
    version = read["metadata"]["resourceVersion"]
    patched = cluster.patch_status(
        "trainingruns", "a-run", {"phase": "Pending"}, resource_version=version
    )
    assert patched["status"] == {"phase": "Pending"}
    with pytest.raises(ConflictError):
        cluster.patch_status("trainingruns", "a-run", {}, resource_version=version)


def test_missing_definitions_stop_the_start(cluster, api):
    require_definitions(cluster)
    api.failures = [None, ApiException(status=404, reason="Not Found")]
    with pytest.raises(ConfigurationError, match=r"TrainingTrigger.*crds\.enabled"):
        require_definitions(cluster)
