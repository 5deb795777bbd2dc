"""Failures at the edge to the Kubernetes API.

::

    IsocenterError
    └── ClusterError          no answer, throttled or 5xx: retried with back-off
        ├── GoneError         the object or its kind does not exist
        ├── ConflictError     it was changed meanwhile: look again
        └── RejectedError     forbidden or invalid: final until someone acts

The failures of AWS calls are those of ``isocenter.core.errors``.
"""

from isocenter.core.errors import IsocenterError

__all__ = ["ClusterError", "ConflictError", "GoneError", "RejectedError"]


class ClusterError(IsocenterError):
    """A Kubernetes API call did not succeed."""

    retryable = True


class GoneError(ClusterError):
    """The object, its namespace or its custom resource definition is not there."""

    retryable = False


class ConflictError(ClusterError):
    """The object changed since it was read."""


class RejectedError(ClusterError):
    """The API server refuses the request: forbidden, or against the schema."""

    retryable = False
