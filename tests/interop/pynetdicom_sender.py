"""pynetdicom as a sender: each file in the transfer syntax that it has."""

import argparse
import ssl
import sys

from pydicom import dcmread
from pynetdicom import AE


def main():
    parser = argparse.ArgumentParser()
    for name in ("--ca", "--cert", "--key"):
        parser.add_argument(name)
    parser.add_argument("port", type=int)
    parser.add_argument("called")
    parser.add_argument("files", nargs="+")
    asked = parser.parse_args()
    ae = AE("PYNETDICOM")
    metas = [dcmread(file, stop_before_pixels=True).file_meta for file in asked.files]
    pairs = {(m.MediaStorageSOPClassUID, m.TransferSyntaxUID) for m in metas}
    for pair in sorted(pairs):
        ae.add_requested_context(*pair)
    tls = None
    if asked.ca:
        context = ssl.create_default_context(cafile=asked.ca)
        if asked.cert:
            context.load_cert_chain(asked.cert, asked.key)
        tls = (context, "127.0.0.1")
    assoc = ae.associate("127.0.0.1", asked.port, ae_title=asked.called, tls_args=tls)
    if not assoc.is_established:
        return "no association"
    # A path is read in pieces: the data set's bytes go as they are.
    answers = [assoc.send_c_store(file) for file in asked.files]
    assoc.release()
    bad = [answer for answer in answers if answer.get("Status") != 0x0000]
    return f"not stored: {bad}" if bad else 0


if __name__ == "__main__":
    sys.exit(main())
