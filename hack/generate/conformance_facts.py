"""What the Store SCP does, asked of the tables of its own code."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID_dictionary

from isocenter.storescp.association.abstract_syntax import Service, service_of
from isocenter.storescp.association.contexts import TRANSFER_SYNTAXES
from isocenter.storescp.front.tls import profile
from isocenter.storescp.settings import StoreScpSettings

_KINDS = frozenset({"SOP Class", "Meta SOP Class"})


@dataclass(frozen=True)
class Registered:
    """An entry of PS3.6 Annex A."""

    uid: str
    name: str
    retired: bool

    @property
    def storage(self) -> bool:
        """Whether its name says that instances of it are stored."""
        return "Storage" in self.name and "Commitment" not in self.name


def default(name: str) -> Any:
    """A setting's default."""
    return StoreScpSettings.model_fields[name].default


def registered(kinds: frozenset[str]) -> Iterator[Registered]:
    """Entries of some kinds that have a name, by their UIDs' numbers."""
    found = [
        Registered(uid, name, bool(retired))
        for uid, (name, kind, _, retired, _) in UID_dictionary.items()
        if kind in kinds and name
    ]
    yield from sorted(found, key=lambda e: [int(part) for part in e.uid.split(".")])


def sop_classes() -> tuple[list[Registered], list[Registered]]:
    """Registered SOP classes that are taken for storage, and storage that is not."""
    accepted: list[Registered] = []
    rejected: list[Registered] = []
    for entry in registered(_KINDS):
        if service_of(entry.uid, private=False) is Service.STORAGE:
            accepted.append(entry)
        elif entry.storage:
            rejected.append(entry)
    return accepted, rejected


def syntaxes(service: Service) -> list[str]:
    """Transfer syntaxes of Verification or Storage Commitment, UIDs."""
    return [str(uid) for uid in TRANSFER_SYNTAXES[service] or ()]


def name_of(uid: str) -> str:
    """The name of a registered UID."""
    return str(UID_dictionary[uid][0])


def cipher_suites() -> list[tuple[str, str]]:
    """Version and name of every cipher suite that is offered."""
    suites = profile().get_ciphers()
    return sorted((str(s["protocol"]), str(s["name"])) for s in suites)


def oldest_tls() -> str:
    """The oldest version that is spoken, such as TLS 1.2."""
    version = ssl.TLSVersion(profile().minimum_version)
    return version.name.replace("TLSv", "TLS ").replace("_", ".")
