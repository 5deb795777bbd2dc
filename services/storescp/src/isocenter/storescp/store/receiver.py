"""The store service: takes what associations receive."""

from isocenter.storescp.association.negotiation import Peer
from isocenter.storescp.dimse.service import StoreCommand
from isocenter.storescp.status import StoreRefusedError, StoreStatus
from isocenter.storescp.store.keeper import Keeper
from isocenter.storescp.store.sink import SpoolSink
from isocenter.storescp.store.spool import Spool
from isocenter.storescp.store.watermark import Watermark


class Receiver:
    """Takes instances while there is room; safe for many associations at once.

    Args:
        spool: where they are received.
        keeper: makes them durable.
        watermark: whether there is room.
    """

    def __init__(self, spool: Spool, keeper: Keeper, watermark: Watermark) -> None:
        self._spool = spool
        self._keeper = keeper
        self._watermark = watermark

    def open(self, command: StoreCommand, peer: Peer) -> SpoolSink:
        """Begin to receive an instance.

        Raises:
            StoreRefusedError: the volume is full.
            OSError: the volume's.
        """
        self._watermark.check()
        if not self._spool.reserve.held:
            raise StoreRefusedError(
                StoreStatus.OUT_OF_RESOURCES, "the spool volume is full"
            )
        return SpoolSink(self._spool, self._keeper, self._watermark, command, peer)
