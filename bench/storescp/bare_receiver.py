"""pynetdicom as it comes, writing files without fsync: a peer, as a process.

``python -m bench.storescp.bare_receiver PORT FOLDER PROCESSES``
"""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, evt

_MAX_PDU = 128 * 1024


def main() -> int:
    """Take instances until SIGTERM."""
    port, folder, processes = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])

    def store(event: evt.Event) -> int:
        name = str(event.request.AffectedSOPInstanceUID)
        (folder / f"{name}.dcm").write_bytes(event.encoded_dataset())
        return 0x0000

    ae = AE("BARE")
    ae.maximum_pdu_size = _MAX_PDU
    ae.supported_contexts = AllStoragePresentationContexts
    server = ae.make_server(
        ("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, store)]
    )
    server.socket.listen(128)
    children = []
    for _ in range(processes - 1):
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            server.serve_forever()
        children.append(child)

    def end(*_: object) -> None:
        for child in children:
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGTERM)
        os._exit(0)

    signal.signal(signal.SIGTERM, end)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
