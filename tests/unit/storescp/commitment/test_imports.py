import gzip
import json

import pytest

from isocenter.storescp.commitment.decision import Finding
from isocenter.storescp.commitment.imports import Imports
from isocenter.storescp.commitment.objects import Objects

KEY = "DICOM/b1/1.2.1.dcm"


def lines(*files):
    return b"".join(json.dumps({"inputFile": f}).encode() + b"\n" for f in files)


@pytest.mark.parametrize(
    ("outputs", "finding"),
    [
        ({}, Finding.PENDING),
        ({"b1/j/SUCCESS/success.ndjson": lines(KEY)}, Finding.COMMITTED),
        ({"b1/j/SUCCESS/success.ndjson": lines("b1/1.2.1.dcm")}, Finding.COMMITTED),
        ({"b1/j/SUCCESS/success.ndjson": lines("1.2.1.dcm")}, Finding.COMMITTED),
        ({"b1/j/SUCCESS/success.ndjson": lines("2.1.dcm")}, Finding.PENDING),
        ({"b1/j/SUCCESS/success.ndjson": lines("1.2.2.dcm")}, Finding.PENDING),
        ({"b1/j/FAILURE/failure.ndjson": lines(KEY)}, Finding.SPOILED),
        (
            {
                "b1/j/FAILURE/failure.ndjson": lines(KEY),
                "b1/k/SUCCESS/success.ndjson": lines(KEY),
            },
            Finding.COMMITTED,
        ),
        ({"b11/j/SUCCESS/success.ndjson": lines(KEY)}, Finding.PENDING),
        ({"b1/j/job-output-manifest.json": b"{}"}, Finding.PENDING),
        ({"b1/j/SUCCESS/success.ndjson": lines(KEY)[:-9]}, Finding.PENDING),
        ({"b1/j/SUCCESS/success.ndjson": b'[1]\n{"inputFile":2}'}, Finding.PENDING),
        ({"b1/j/SUCCESS/success.ndjson": gzip.compress(lines(KEY))}, Finding.COMMITTED),
    ],
)
def test_committed_is_what_a_success_file_of_the_batch_names(
    s3, make, outputs, finding
):
    for name, body in outputs.items():
        s3.put(f"import-output/{name}", body)
    output = Imports(Objects(s3), "import-output/").of(make.BUCKET, "b1")
    assert output.finding(KEY) is finding
