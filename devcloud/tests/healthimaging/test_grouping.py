import pytest

from isocenter.devcloud.healthimaging.grouping import SeriesKey, place

KEY = SeriesKey("20240102", "A1", "P1", "1.2.3", "S1", "1.2.4", "3")
PRIMARIES = {"1.2.4": ("first", KEY)}


def levels(**changes):
    return {
        "Patient": {"PatientID": changes.get("patient", "P1")},
        "Study": {
            "StudyDate": "20240102",
            "AccessionNumber": "A1",
            "StudyInstanceUID": "1.2.3",
            "StudyID": changes.get("study_id", "S1"),
        },
        "Series": {
            "SeriesInstanceUID": "1.2.4",
            "SeriesNumber": changes.get("number", "3 "),
        },
    }


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"number": "3"}, True),
        ({"number": "4"}, False),
        ({"patient": "P2"}, False),
        ({"patient": None}, False),
        ({"study_id": "S1 "}, True),
    ],
)
def test_the_key_is_the_seven_elements_without_padding(changes, same):
    assert (SeriesKey.of(levels(**changes)) == KEY) is same


def test_absent_and_empty_are_equal():
    assert SeriesKey.of(levels(patient=None)) == SeriesKey.of(levels(patient=""))


@pytest.mark.parametrize(
    "element",
    [
        "study_date",
        "accession_number",
        "patient_id",
        "study_instance_uid",
        "study_id",
        "series_number",
    ],
)
def test_any_difference_in_a_series_makes_a_set_that_is_not_primary(element):
    other = KEY._replace(**{element: "9"})
    assert place(other, PRIMARIES, {}) == (None, False)
    assert place(other, PRIMARIES, {other: "second"}) == ("second", False)


def test_the_same_elements_join_the_primary_set():
    assert place(KEY, PRIMARIES, {}) == ("first", True)


def test_another_series_begins_a_primary_set():
    other = KEY._replace(series_instance_uid="1.2.5")
    assert place(other, PRIMARIES, {}) == (None, True)
