import pytest

from isocenter.devcloud.healthimaging.errors import ValidationError
from isocenter.devcloud.healthimaging.grouping import SeriesKey
from isocenter.devcloud.healthimaging.models import ImageSet, ImageSetVersion
from isocenter.devcloud.healthimaging.search import (
    matches,
    sort_value,
    validate_criteria,
)

IMAGE_SET = ImageSet(
    image_set_id="i" * 32,
    datastore_id="d" * 32,
    key=SeriesKey("20240102", "A1", "P1", "1.2.3", "S1", "1.2.4", "3"),
    is_primary=True,
    levels={"Patient": {}, "Study": {"StudyTime": "101112"}, "Series": {}},
    created_at=100.5,
    versions=[ImageSetVersion(1, "CREATED", 101), ImageSetVersion(2, "UPDATED", 200)],
)


def equal(**value):
    return {"operator": "EQUAL", "values": [value]}


def between(name, low, high):
    return {"operator": "BETWEEN", "values": [{name: low}, {name: high}]}


def study_time(date, time="000000"):
    return {"DICOMStudyDate": date, "DICOMStudyTime": time}


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], True),
        ([equal(DICOMPatientId="P1")], True),
        ([equal(DICOMPatientId="P")], False),
        ([equal(DICOMStudyInstanceUID="1.2.3")], True),
        ([equal(DICOMSeriesInstanceUID="1.2.3")], False),
        ([equal(DICOMAccessionNumber="A1"), equal(DICOMStudyId="S2")], False),
        ([equal(isPrimary=True)], True),
        ([equal(isPrimary=False)], False),
        ([between("createdAt", 100, 101)], True),
        ([between("createdAt", 101, 102)], False),
        ([between("updatedAt", 101, 150)], False),
        ([between("updatedAt", 200, 200)], True),
        ([equal(DICOMSeriesInstanceUID="1.2.4"), between("updatedAt", 1, 999)], True),
        (
            [
                between(
                    "DICOMStudyDateAndTime",
                    study_time("20240101"),
                    study_time("20240103"),
                )
            ],
            True,
        ),
        (
            [
                between(
                    "DICOMStudyDateAndTime",
                    study_time("20240102", "110000"),
                    study_time("20240103"),
                )
            ],
            False,
        ),
    ],
)
def test_filters(filters, found):
    criteria = {"filters": filters}
    validate_criteria(criteria)
    assert matches(IMAGE_SET, criteria) is found


@pytest.mark.parametrize(
    ("filters", "text"),
    [
        ([between("DICOMPatientId", "A", "B")], "BETWEEN is not supported"),
        ([equal(createdAt=5)], "EQUAL is not supported"),
        ([{"operator": "EQUAL", "values": [{"isPrimary": True}] * 2}], "takes 1 value"),
        ([{"operator": "BETWEEN", "values": [{"createdAt": 1}]}], "takes 2 value"),
        (
            [{"operator": "BETWEEN", "values": [{"createdAt": 1}, {"updatedAt": 2}]}],
            "values of one attribute",
        ),
        ([between("createdAt", 2, 1)], "wrong order"),
    ],
)
def test_filters_that_the_service_does_not_take(filters, text):
    with pytest.raises(ValidationError, match=text):
        validate_criteria({"filters": filters})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("createdAt", 100.5),
        ("updatedAt", 200),
        ("DICOMStudyDateAndTime", ("20240102", "101112")),
    ],
)
def test_sort_values(field, value):
    assert sort_value(IMAGE_SET, field) == value
