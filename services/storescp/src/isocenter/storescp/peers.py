"""Who may call: AE titles, the networks they call from, their certificates. Pure."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ANY = "*"
_AE_TITLE = re.compile(r"[ -\[\]-~]{1,16}")
_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "streetAddress": "STREET",
    "domainComponent": "DC",
    "userId": "UID",
}
"""OpenSSL's names of attribute types, and RFC 4514's."""
_PART = re.compile(r"((?:[^\\,+]|\\.)*)([,+]|$)")
_ESCAPED = re.compile(r"\\([0-9A-Fa-f]{2})|\\(.)")


def is_ae_title(text: str) -> bool:
    """Whether ``text`` is an AE title without padding (PS3.5 6.2, VR AE)."""
    return _AE_TITLE.fullmatch(text) is not None and text == text.strip(" ") != ""


class AllowedPeer(BaseModel):
    """One that may call; all that is given must fit.

    Attributes:
        ae_title: its calling AE title, or ``*`` for any.
        cidrs: networks it calls from; none given, from anywhere.
        certificate_subject: its certificate's, as RFC 4514 writes it, such as
            ``CN=ct1,O=Hospital``; not given, TLS decides alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    ae_title: str = Field(alias="aeTitle")
    cidrs: tuple[IPv4Network | IPv6Network, ...] = ()
    certificate_subject: str | None = Field(default=None, alias="certificateSubject")

    @model_validator(mode="before")
    @classmethod
    def _title_alone(cls, value: Any) -> Any:
        return {"aeTitle": value} if isinstance(value, str) else value

    @field_validator("ae_title")
    @classmethod
    def _is_title(cls, value: str) -> str:
        if value != ANY and not is_ae_title(value):
            raise ValueError(
                'an AE title has 1 to 16 characters of ASCII without "\\",'
                ' or is "*" for any'
            )
        return value

    @field_validator("certificate_subject")
    @classmethod
    def _is_subject(cls, value: str | None) -> str | None:
        if value is not None and not _attributes(value):
            raise ValueError(
                "a certificate's subject looks like CN=ct1,O=Hospital (RFC 4514;"
                " openssl x509 -noout -subject -nameopt RFC2253)"
            )
        return value


@dataclass(frozen=True)
class Caller:
    """A peer, as far as the connection shows it.

    Attributes:
        address: IP address.
        subject: of its verified certificate (RFC 4514), if it showed one.
    """

    address: str
    subject: str | None = None

    @classmethod
    def at(cls, address: str, certificate: Any = None) -> Self:
        """From a socket's address and ``SSLSocket.getpeercert``'s result."""
        return cls(plain_address(address), subject_of(certificate))


class Mismatch(StrEnum):
    """Why a caller is none of those allowed: how near it came to being one."""

    AE_TITLE = "its AE title is not among the allowed peers"
    ADDRESS = "its AE title is not allowed from its address"
    CERTIFICATE = "its AE title is not allowed with its certificate"


def mismatch(
    peers: Sequence[AllowedPeer], ae_title: str, caller: Caller
) -> Mismatch | None:
    """Why a caller may not call, or None if it may."""
    named = [peer for peer in peers if peer.ae_title in (ANY, ae_title)]
    if not named:
        return Mismatch.AE_TITLE
    near = [peer for peer in named if _is_near(peer, caller.address)]
    if not near:
        return Mismatch.ADDRESS
    if not any(_is_shown(peer, caller.subject) for peer in near):
        return Mismatch.CERTIFICATE
    return None


def _is_near(peer: AllowedPeer, address: str) -> bool:
    if not peer.cidrs:
        return True
    here = ip_address(address)
    return any(here in cidr for cidr in peer.cidrs)


def _is_shown(peer: AllowedPeer, subject: str | None) -> bool:
    if peer.certificate_subject is None:
        return True
    if subject is None:
        return False
    return _attributes(subject) == _attributes(peer.certificate_subject)


def plain_address(address: str) -> str:
    """An IPv4 address where IPv6 maps one (RFC 4291, 2.5.5.2); no zone."""
    found = ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def subject_of(certificate: Any) -> str | None:
    """The subject of ``SSLSocket.getpeercert``'s result, as RFC 4514 writes it."""
    if not certificate or not certificate.get("subject"):
        return None
    # RFC 4514 has the most particular name first, certificates have it last.
    return ",".join(
        "+".join(f"{_SHORT.get(name, name)}={_escape(value)}" for name, value in names)
        for names in reversed(certificate["subject"])
    )


def _escape(value: str) -> str:
    escaped = re.sub(r'([\\,+"<>;=])', r"\\\1", value)
    if escaped.startswith(("#", " ")):
        escaped = "\\" + escaped
    if escaped.endswith(" ") and len(value) > 1:
        escaped = escaped[:-1] + "\\ "
    return escaped


def _attributes(subject: str) -> list[frozenset[tuple[str, str]]]:
    """Relative names of a subject, types in upper case; empty if it is none."""
    names: list[frozenset[tuple[str, str]]] = []
    together: set[tuple[str, str]] = set()
    for part, separator in _parts(subject):
        kind, equals, value = part.partition("=")
        if not equals or not kind.strip() or not value.strip():
            return []
        together.add((kind.strip().upper(), _unescaped(value.strip())))
        if separator != "+":
            names.append(frozenset(together))
            together = set()
    return names


def _parts(subject: str) -> Iterator[tuple[str, str]]:
    at = 0
    while (found := _PART.match(subject, at)) is not None:
        yield found[1], found[2]
        if not found[2]:
            return
        at = found.end()


def _unescaped(value: str) -> str:
    def character(found: re.Match[str]) -> str:
        return chr(int(found[1], 16)) if found[1] else found[2]

    return _ESCAPED.sub(character, value)
