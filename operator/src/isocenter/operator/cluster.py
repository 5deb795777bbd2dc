"""The edge to the Kubernetes API: custom resources of one namespace.

The official client's exceptions end here; see ``isocenter.operator.errors``.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from kubernetes import client, config
from kubernetes.client.exceptions import ApiException, OpenApiException
from urllib3.exceptions import HTTPError

from isocenter.core.errors import ConfigurationError
from isocenter.operator.errors import (
    ClusterError,
    ConflictError,
    GoneError,
    RejectedError,
)
from isocenter.operator.resources import GROUP, VERSION

_TIMEOUT = (5, 30)
_MERGE = "application/merge-patch+json"
_PAGE = 500
_FIELD_MANAGER = "isocenter"
_BY_STATUS: dict[int, type[ClusterError]] = {
    400: RejectedError,
    401: RejectedError,
    403: RejectedError,
    404: GoneError,
    409: ConflictError,
    422: RejectedError,
}


@contextmanager
def talking(what: str) -> Iterator[None]:
    """Translate any failure of the client raised inside."""
    try:
        yield
    except ApiException as error:
        kind = _BY_STATUS.get(error.status or 0, ClusterError)
        raise kind(f"could not {what}: {_answer(error)}") from error
    except (OpenApiException, HTTPError, OSError) as error:
        raise ClusterError(f"could not {what}: {error}") from error


class Cluster:
    """Custom resources of ``isocenter.dev`` in one namespace. Thread-safe."""

    def __init__(self, api: Any, namespace: str) -> None:
        self._api = api
        self.namespace = namespace

    @classmethod
    def connect(cls, namespace: str, *, pool: int = 10) -> "Cluster":
        """From the pod's service account, or else from KUBECONFIG.

        Raises:
            ConfigurationError: there is neither.
        """
        try:
            config.load_incluster_config()
        except config.ConfigException:
            try:
                config.load_kube_config()
            except config.ConfigException as error:
                raise ConfigurationError(
                    "no Kubernetes API: run in a pod with a service account, or set "
                    f"KUBECONFIG ({error})"
                ) from error
        configuration = client.Configuration.get_default_copy()
        configuration.connection_pool_maxsize = pool
        return cls(client.CustomObjectsApi(client.ApiClient(configuration)), namespace)

    def resources(self, plural: str) -> Iterator[dict[str, Any]]:
        """Every resource of a kind, page by page."""
        following: str | None = None
        while True:
            with talking(f"list {plural} in {self.namespace}"):
                page = self._api.list_namespaced_custom_object(
                    **self._kind(plural),
                    limit=_PAGE,
                    **({"_continue": following} if following else {}),
                    _request_timeout=_TIMEOUT,
                )
            yield from page["items"]
            following = page["metadata"].get("continue")
            if not following:
                return

    def resource(self, plural: str, name: str) -> dict[str, Any]:
        """One resource.

        Raises:
            GoneError: there is none of that name.
        """
        with talking(f"read {plural} {self.namespace}/{name}"):
            found: dict[str, Any] = self._api.get_namespaced_custom_object(
                **self._kind(plural), name=name, _request_timeout=_TIMEOUT
            )
        return found

    def create(self, plural: str, body: Mapping[str, Any]) -> bool:
        """Create a resource; False if one of that name exists already."""
        name = body["metadata"]["name"]
        try:
            with talking(f"create {plural} {self.namespace}/{name}"):
                self._api.create_namespaced_custom_object(
                    **self._kind(plural),
                    body=body,
                    field_manager=_FIELD_MANAGER,
                    _request_timeout=_TIMEOUT,
                )
        except ConflictError:
            return False
        return True

    def patch_status(
        self,
        plural: str,
        name: str,
        status: Mapping[str, Any],
        *,
        resource_version: str,
    ) -> dict[str, Any]:
        """Merge ``status`` into the status of the resource as it was read.

        Raises:
            ConflictError: it is not at ``resource_version`` any more.
        """
        with talking(f"patch the status of {plural} {self.namespace}/{name}"):
            patched: dict[str, Any] = self._api.patch_namespaced_custom_object_status(
                **self._kind(plural),
                name=name,
                body={
                    "metadata": {"resourceVersion": resource_version},
                    "status": status,
                },
                field_manager=_FIELD_MANAGER,
                _content_type=_MERGE,
                _request_timeout=_TIMEOUT,
            )
        return patched

    def annotate(self, plural: str, name: str, annotations: Mapping[str, str]) -> None:
        """Merge annotations into a resource."""
        with talking(f"annotate {plural} {self.namespace}/{name}"):
            self._api.patch_namespaced_custom_object(
                **self._kind(plural),
                name=name,
                body={"metadata": {"annotations": annotations}},
                field_manager=_FIELD_MANAGER,
                _content_type=_MERGE,
                _request_timeout=_TIMEOUT,
            )

    def _kind(self, plural: str) -> dict[str, str]:
        return {
            "group": GROUP,
            "version": VERSION,
            "namespace": self.namespace,
            "plural": plural,
        }


def _answer(error: ApiException) -> str:
    """The API server's own words, which name the field that is wrong."""
    try:
        return f"{error.status}: {json.loads(error.body or '')['message']}"
    except (ValueError, TypeError, KeyError):
        return f"{error.status} {error.reason}"
