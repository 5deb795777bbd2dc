"""The proxy's own AWS credentials, for every region's signer."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from isocenter.core import aws
from isocenter.core.errors import AwsError
from isocenter.tlm_proxy.errors import CredentialsError


class Credentials:
    """Found when first needed, and refreshed before they end.

    Args:
        session: a boto3 session, asked for credentials when first needed.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        self._found: Any = None
        self._finding = asyncio.Lock()

    async def frozen(self) -> Any:
        """Frozen credentials, refreshed in a thread when they are about to end.

        Raises:
            CredentialsError: there are none, or they can't be refreshed.
        """
        if self._found is None:
            async with self._finding:
                if self._found is None:
                    with _fetching_credentials():
                        self._found = await asyncio.to_thread(
                            self._session.get_credentials
                        )
        if self._found is None:
            raise CredentialsError(
                "no AWS credentials: give the pod a role, or set AWS's variables"
            )
        refresh_needed = getattr(self._found, "refresh_needed", None)
        if refresh_needed is None or not refresh_needed():
            return self._found.get_frozen_credentials()
        with _fetching_credentials():
            return await asyncio.to_thread(self._found.get_frozen_credentials)


@contextmanager
def _fetching_credentials() -> Iterator[None]:
    """Any AWS failure inside is one of credentials."""
    try:
        with aws.calling("get AWS credentials"):
            yield
    except AwsError as error:
        raise CredentialsError(str(error), code=error.code) from error
    except OSError as error:
        # botocore lets a web identity's token file that is not there through.
        raise CredentialsError(f"could not get AWS credentials: {error}") from error
    except Exception as error:
        # And whatever comes of what a credential process wrote: without its text,
        # which may hold a secret.
        raise CredentialsError(
            f"could not get AWS credentials: {type(error).__name__}"
        ) from error
