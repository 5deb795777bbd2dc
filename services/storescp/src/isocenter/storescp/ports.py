"""The ports of the settings, opened."""

from isocenter.core.errors import ConfigurationError
from isocenter.storescp.front.listening import Listener, bind
from isocenter.storescp.settings import StoreScpSettings


def open_ports(settings: StoreScpSettings) -> list[Listener]:
    """Listen on every port of the settings.

    Raises:
        ConfigurationError: naming the setting of a port that can't be listened on.
    """
    wanted: list[tuple[str, int, bool]] = []
    if settings.tls_cert_file is not None:
        wanted.append(("STORESCP_TLS_PORT", settings.tls_port, True))
    if settings.scp_port is not None:
        wanted.append(("STORESCP_SCP_PORT", settings.scp_port, False))
    opened: list[Listener] = []
    for setting, port, tls in wanted:
        try:
            opened.append(Listener(bind(settings.listen_address, port), tls))
        except ConfigurationError as error:
            for listener in opened:
                listener.socket.close()
            raise ConfigurationError(f"{setting}: {error}") from error
    return opened
