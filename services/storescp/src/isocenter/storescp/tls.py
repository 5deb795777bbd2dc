"""The TLS context of the Store SCP: BCP 195 (RFC 9325), as PS3.15 B.12 asks."""

import ssl
from pathlib import Path

from isocenter.core.errors import ConfigurationError
from isocenter.storescp.connection import TlsConnection

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has no
others."""


def profile() -> ssl.SSLContext:
    """Versions and ciphers, without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslsocket_class = TlsConnection
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


def server_context(cert: Path, key: Path, ca: Path | None) -> ssl.SSLContext:
    """A context that accepts TLS 1.2 and later.

    Args:
        cert: PEM certificate chain.
        key: PEM private key.
        ca: PEM authorities; if given, a peer must show a certificate of theirs.

    Raises:
        ConfigurationError: naming the setting whose file can't be used.
    """
    context = profile()
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ValueError) as error:
        raise ConfigurationError(
            f"STORESCP_TLS_CERT_FILE {cert} and STORESCP_TLS_KEY_FILE {key}"
            f" are not a usable pair: {error}"
        ) from error
    if ca is not None:
        try:
            context.load_verify_locations(ca)
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"STORESCP_TLS_CA_FILE {ca} is not usable: {error}"
            ) from error
        context.verify_mode = ssl.CERT_REQUIRED
    return context
