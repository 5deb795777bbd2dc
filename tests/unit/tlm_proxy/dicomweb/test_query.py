import pytest

from isocenter.tlm_proxy.dicomweb.query import parse_search, plan
from isocenter.tlm_proxy.errors import BadRequestError

OHIF = [
    ("limit", "101"),
    ("offset", "0"),
    ("fuzzymatching", "false"),
    ("includefield", "00081030,00080060,00080090,00100030"),
]


def sent(query):
    found = plan(query)
    return [
        {name: value for name, value in variant if name != "includefield"}
        for variant in found.variants
    ], found.complete


def test_ohifs_study_list_is_passed_on():
    query = parse_search("study", OHIF)
    assert (query.limit, query.offset, query.fuzzy, query.keys) == (101, 0, False, ())
    assert sent(query) == ([{}], True)
    fields = [v for n, v in plan(query).variants[0] if n == "includefield"]
    assert len(fields) == len(set(fields))
    assert {"00080061", "00201206", "00201208", "00080090"} <= set(fields)


@pytest.mark.parametrize(
    ("name", "value", "goes", "complete"),
    [
        ("00100020", "P1", {"00100020": "P1"}, True),
        ("PatientID", "20096598?", {"00100020": "20096598?"}, True),
        ("PatientName", "*juno*", {}, False),
        ("00080090", "House", {}, False),
        ("StudyDate", "20240101-20240131", {"00080020": "20240101-20240131"}, True),
        ("StudyDate", "20240101-", {"00080020": "20240101-29991231"}, True),
        ("StudyDate", "-20240101", {"00080020": "18000101-20240101"}, True),
        ("StudyTime", "10-11", {}, False),
        ("ModalitiesInStudy", "CT", {"00080061": "CT"}, True),
        ("ModalitiesInStudy", "CT,MR", {}, False),
        ("AccessionNumber", "A*", {"00080050": "A*"}, True),
        ("StudyDescription", "*head*", {"00081030": "*head*"}, True),
        ("StudyInstanceUID", "1.2", {"0020000D": "1.2"}, True),
        ("PatientSex", "F", {}, False),
        ("00189999", "x", {}, False),
        ("PatientName", "*", {}, True),
        ("PatientID", "", {}, True),
    ],
)
def test_only_what_healthimaging_documents_is_sent(name, value, goes, complete):
    assert sent(parse_search("study", [(name, value)])) == ([goes], complete)


def test_a_list_of_uids_is_looked_up_one_by_one():
    query = parse_search("study", [("StudyInstanceUID", "1.2,1.3,1.2")])
    assert sent(query) == ([{"0020000D": "1.2"}, {"0020000D": "1.3"}], False)


def test_a_key_twice_is_sent_once_and_both_must_match():
    query = parse_search("study", [("PatientID", "P1"), ("00100020", "P2")])
    assert sent(query) == ([{"00100020": "P1"}], False)
    assert not query.matches({"00100020": {"vr": "LO", "Value": ["P1"]}})


def test_what_is_filtered_here_is_asked_for():
    query = parse_search("study", [("PatientSex", "F")])
    assert ("includefield", "00100040") in plan(query).variants[0]


def test_a_sent_key_may_be_missing_from_results_but_not_a_patients_id():
    query = parse_search("study", [("StudyDescription", "head"), ("PatientID", "P1")])
    everything = frozenset({"00081030", "00100020"})
    patient = {"00100020": {"vr": "LO", "Value": ["P1"]}}
    other = {"00081030": {"vr": "LO", "Value": ["foot"]}}
    assert query.matches(patient, everything)
    assert not query.matches(patient)
    assert not query.matches({}, everything)
    assert not query.matches({**patient, **other}, everything)


def test_all_replaces_other_fields():
    query = parse_search("study", [("includefield", "all"), ("PatientID", "P")])
    assert plan(query).variants[0] == (("00100020", "P"), ("includefield", "all"))


@pytest.mark.parametrize(
    "parameter",
    [
        ("limit", "-1"),
        ("limit", "x"),
        ("offset", "99999999"),
        ("fuzzymatching", "yes"),
        ("Patient", "Jane"),
        ("<script>", "x"),
        ("StudyDate", "yesterday"),
        ("includefield", "a b"),
        ("PatientID", "x" * 2000),
    ],
)
def test_bad_parameters_are_told_without_their_values(parameter):
    with pytest.raises(BadRequestError) as caught:
        parse_search("study", [parameter])
    assert parameter[1] not in str(caught.value).split()
    assert "<" not in str(caught.value)
