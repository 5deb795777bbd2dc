"""Where reports go: ``host:port`` or ``host:port,tls`` for an AE title."""

import re
from dataclasses import dataclass

_ADDRESS = re.compile(
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9_.-]*)"
    r":(?P<port>[0-9]{1,5})(?P<tls>,tls)?"
)
_LAST_PORT = 65535


@dataclass(frozen=True)
class ReportAddress:
    """Where an application entity listens for reports."""

    host: str
    port: int
    tls: bool


def parse_address(text: str) -> ReportAddress:
    """Read ``host:port`` or ``host:port,tls``; IPv6 addresses in brackets.

    Raises:
        ValueError: saying what an address looks like.
    """
    found = _ADDRESS.fullmatch(text.replace(" ", ""))
    if found is None or not 0 < int(found["port"]) <= _LAST_PORT:
        raise ValueError(
            f"{text!r} is no address of a peer: write host:port, or host:port,tls"
        )
    return ReportAddress(
        found["host"].strip("[]"), int(found["port"]), bool(found["tls"])
    )
