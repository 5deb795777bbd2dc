"""What the loop is measured with: a source of each service, and where it shows."""

from dataclasses import dataclass

EVERY_PYTHON_CHANGE = 'print("{mark}", flush=True)\n'


@dataclass(frozen=True)
class Service:
    """One deployed service.

    Attributes:
        component: its ``app.kubernetes.io/component``.
        source: the file that is changed, in the repository.
        change: a line that is added to the file; ``{mark}`` is a text of its own.
        page: path of its port ``http`` where the mark is read; without one it is read
            in the log of its pod.
        ends: whether its pod ends, as a Job's; ready otherwise.
    """

    component: str
    source: str
    change: str = EVERY_PYTHON_CHANGE
    page: str | None = None
    ends: bool = False


SERVICES = {
    "storescp": Service("storescp", "services/storescp/src/isocenter/storescp/main.py"),
    "tlm-proxy": Service(
        "tlm-proxy", "services/tlm-proxy/src/isocenter/tlm_proxy/main.py"
    ),
    "viewer": Service(
        "viewer",
        "services/viewer/extension/choice.mjs",
        change="// {mark}\n",
        page="/isocenter/choice.mjs",
    ),
    "fetcher": Service("fetcher", "services/fetcher/src/isocenter/fetcher/main.py"),
    "operator": Service("operator", "operator/src/isocenter/operator/main.py"),
    "intake": Service("intake", "operator/src/isocenter/operator/intake/main.py"),
    "trainer": Service(
        "pipeline", "pipeline/src/isocenter/pipeline/main.py", ends=True
    ),
}
