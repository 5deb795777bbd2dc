"""What the Store SCP does, asked of its own code and of pynetdicom's negotiation."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.uid import UID_dictionary
from pynetdicom.ae import ApplicationEntity
from pynetdicom.presentation import build_context, negotiate_unrestricted

from isocenter.storescp.entity import application_entity
from isocenter.storescp.settings import StoreScpSettings
from isocenter.storescp.tls import profile

_VERIFICATION = "1.2.840.10008.1.1"
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


def entity() -> ApplicationEntity:
    """The application entity with its default settings."""
    settings = StoreScpSettings.model_construct(
        **{
            name: field.default
            for name, field in StoreScpSettings.model_fields.items()
            if not field.is_required()
        }
    )
    return application_entity(settings)


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
    """Registered SOP classes whose presentation context is accepted, and the rest."""
    supported = entity().supported_contexts
    accepted: list[Registered] = []
    rejected: list[Registered] = []
    for entry in registered(_KINDS):
        proposed = build_context(entry.uid)
        proposed.context_id = 1
        (answered,), _ = negotiate_unrestricted([proposed], supported)
        (accepted if answered.result == 0 else rejected).append(entry)
    return accepted, rejected


def verification_syntaxes() -> list[str]:
    """Transfer syntaxes of Verification, UIDs."""
    (context,) = (
        c for c in entity().supported_contexts if c.abstract_syntax == _VERIFICATION
    )
    return [str(uid) for uid in context.transfer_syntax]


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
