import pytest

from isocenter.devcloud.healthimaging.dicomweb.query import Query, parse_query
from isocenter.devcloud.healthimaging.errors import ValidationError


@pytest.mark.parametrize(
    ("pairs", "query"),
    [
        ([], Query()),
        ([("0020000d", "1.2")], Query(matches={"0020000D": "1.2"})),
        ([("PatientName", "a*")], Query(matches={"00100010": "a*"})),
        ([("limit", "0"), ("offset", "1000000")], Query(limit=0, offset=1_000_000)),
        ([("fuzzymatching", "true")], Query(fuzzy=True)),
        ([("X-Amz-Signature", "0123")], Query()),
        ([("includefield", "all")], Query(every_field=True)),
        (
            [("includefield", "00080096.CodeValue"), ("includefield", "nonsense")],
            Query(fields=(("00080096", "00080100"),)),
        ),
        (
            [("includefield", "00191001"), ("00190010", "Philips")],
            Query(fields=(("00191001",),), creators={"00190010": "Philips"}),
        ),
    ],
)
def test_what_is_taken(pairs, query):
    assert parse_query("SearchDICOMStudies", pairs) == query


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Modality", "CT"),
        ("00191001", "private, but no creator"),
        ("patientname", "keywords have capitals"),
        ("emptyvaluematching", "true"),
        ("limit", "1e3"),
        ("limit", ""),
        ("offset", "99999999999"),
    ],
)
def test_what_is_refused(name, value):
    with pytest.raises(ValidationError, match=name):
        parse_query("SearchDICOMStudies", [(name, value)])
