"""TLS of the DICOM port: BCP 195 (RFC 9325), as PS3.15 B.12 asks; new certificates."""

import logging
import ssl
from pathlib import Path

from isocenter.core.errors import ConfigurationError
from isocenter.storescp import metrics

log = logging.getLogger(__name__)

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2: forward secrecy and authenticated encryption only. TLS 1.3 has no
others."""
_Stamp = tuple[tuple[int, int, int] | None, ...]


def profile() -> ssl.SSLContext:
    """Versions and ciphers, without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
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


class Certificates:
    """The context of now, made anew when its files change.

    Kubernetes changes a Secret's files all at once, by a symbolic link; others write
    one after the other, and in between there is no usable pair: then the earlier
    context stays, and connections that were made keep theirs.

    Args:
        cert, key, ca: as of ``server_context``.

    Raises:
        ConfigurationError: a file can't be used.
    """

    def __init__(self, cert: Path, key: Path, ca: Path | None) -> None:
        self._cert, self._key, self._ca = cert, key, ca
        self._stamp = self._look()
        self._tried = self._stamp
        self.context = server_context(cert, key, ca)

    def refresh(self) -> bool:
        """Read the files again if they changed since they were last read.

        Returns:
            Whether there is a new context.
        """
        stamp = self._look()
        if stamp in (self._stamp, self._tried):
            return False
        self._tried = stamp
        try:
            self.context = server_context(self._cert, self._key, self._ca)
        except ConfigurationError as error:
            metrics.TLS_RELOADS.labels("failed").inc()
            log.warning(
                "new TLS files can't be used, going on with the earlier ones",
                extra={"error": str(error)},
            )
            return False
        self._stamp = stamp
        metrics.TLS_RELOADS.labels("done").inc()
        log.info("TLS certificate read again")
        return True

    def _look(self) -> _Stamp:
        """What tells a changed file: one that a link leads to now has another inode."""
        return tuple(_stamp(file) for file in (self._cert, self._key, self._ca) if file)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
