"""Image sets to a verified, decoded dataset.

``fetch`` is the Python API; ``main`` is the command line and the service.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from isocenter.fetcher.dataset import fetch
    from isocenter.fetcher.settings import FetcherSettings

__all__ = ["FetcherSettings", "fetch"]


def __getattr__(name: str) -> object:
    # Decoding processes import this package too: they must not load the AWS SDK.
    if name == "fetch":
        from isocenter.fetcher.dataset import fetch  # noqa: PLC0415 - see above

        return fetch
    if name == "FetcherSettings":
        from isocenter.fetcher.settings import (  # noqa: PLC0415 - see above
            FetcherSettings,
        )

        return FetcherSettings
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
