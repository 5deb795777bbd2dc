"""Where things are: folders, namespaces, images, addresses."""

import os
from pathlib import Path

from demo.shell import DemoError

ROOT = Path(__file__).resolve().parents[2]
NAMESPACE = "isocenter"
"""Namespace of the product."""
AWS_NAMESPACE = "devcloud"
"""Namespace of the local AWS, where pipeline steps run too."""
STUDY = ROOT / "tests" / "data" / "ct_head.tar.xz"
LOCAL_AWS_VALUES = ROOT / "charts" / "devcloud" / "isocenter-values.yaml"
PROXY_NODE_PORT = 30880
VIEWER_NODE_PORT = 30881
BUCKET = "isocenter-data"


def cache() -> Path:
    """The cache folder, outside the checkout; the Makefile names it."""
    named = os.environ.get("ISOCENTER_CACHE")  # noqa: TID251 - a script, not a process of the product
    if not named:
        raise DemoError("ISOCENTER_CACHE is not set: run this by `make demo`")
    return Path(named)


def local_cluster() -> bool:
    """Whether the cluster is the one that `make cluster-up` starts."""
    return os.environ.get("CLUSTER", "local") == "local"  # noqa: TID251 - as above


def images() -> dict[str, str]:
    """Image references by name, as hack/images.sh wrote them."""
    listing = cache() / "images.env"
    if not listing.exists():
        raise DemoError("no images are built: run `make images`")
    lines = listing.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)
