import pytest

from isocenter.tlm_proxy.dicomweb.matching import check, matches
from isocenter.tlm_proxy.errors import BadRequestError


def element(tag, vr, *values):
    return {tag: {"vr": vr, "Value": list(values)}} if values else {tag: {"vr": vr}}


NAME = {"Alphabetic": "Doe^Jane^^^", "Ideographic": "山田^太郎"}


@pytest.mark.parametrize(
    ("vr", "key", "values", "expected"),
    [
        # universal (C.2.2.2.3)
        ("LO", "", ["P1"], True),
        ("LO", "", [], True),
        ("LO", "**", [], True),
        ("UI", "", ["1.2"], True),
        # single value (C.2.2.2.1)
        ("LO", "P1", ["P1"], True),
        ("LO", "P1", ["P1 "], True),
        ("LO", "P1", ["P10"], False),
        ("LO", "p1", ["P1"], False),
        ("LO", "P1", [], False),
        ("IS", "3", ["03"], True),
        ("IS", "3", [3], True),
        ("US", "x", [3], False),
        # one of many values (C.2.2.3)
        ("CS", "CT", ["PT", "CT"], True),
        ("CS", "CT,MR", ["MR"], False),
        # list of UID (C.2.2.2.2)
        ("UI", "1.2,1.3", ["1.3"], True),
        ("UI", r"1.2\1.3", ["1.2"], True),
        ("UI", "1.2", ["1.20"], False),
        ("UI", "1.*", ["1.2"], False),
        # wildcards (C.2.2.2.4)
        ("LO", "*head*", ["CT head"], True),
        ("LO", "*head*", ["CT HEAD"], False),
        ("LO", "head*", ["CT head"], False),
        ("LO", "he?d", ["head"], True),
        ("LO", "he?d", ["heed!"], False),
        ("LO", "a*b*c", ["aXbYbZc"], True),
        ("LO", "a*b*c", ["aXbYbZcd"], False),
        ("LO", "he.d*", ["head"], False),
        ("SH", "200965981???", ["200965981123"], True),
        ("SH", "200965981???", ["20096598112"], False),
        ("LO", "*x", [], False),
        # range (C.2.2.2.5)
        ("DA", "20240101-20240131", ["20240101"], True),
        ("DA", "20240101-20240131", ["20240131"], True),
        ("DA", "20240101-20240131", ["20240201"], False),
        ("DA", "20240101-", ["20991231"], True),
        ("DA", "-20240101", ["20240102"], False),
        ("DA", "20240101", ["2024.01.01"], True),
        ("DA", "20240101-20240131", [], False),
        ("TM", "1000-1030", ["103059.5"], True),
        ("TM", "1000-1030", ["1031"], False),
        ("TM", "1000-", ["09"], False),
        ("TM", "10", ["101500"], True),
    ],
)
def test_matching(vr, key, values, expected):
    assert matches(element("00200010", vr, *values), "00200010", vr, key) is expected


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("DOE^JANE", True),
        ("doe^jane", True),
        ("*jane*", True),
        ("Doe*", True),
        ("doe", False),
        ("山田*", True),
        ("*john*", False),
        ("?oe^Jane", True),
    ],
)
def test_names_ignore_case_and_match_any_component_group(key, expected):
    dataset = element("00100010", "PN", NAME)
    assert matches(dataset, "00100010", "PN", key) is expected


def test_modalities_in_study_takes_a_list():
    dataset = element("00080061", "CS", "SR", "MR")
    assert matches(dataset, "00080061", "CS", "CT,MR")
    assert not matches(dataset, "00080061", "CS", "CT,US")


def test_an_attribute_that_is_not_there_matches_universal_keys_only():
    assert matches({}, "00100020", "LO", "*")
    assert not matches({}, "00100020", "LO", "P1")


def test_the_vr_of_the_result_counts_for_tags_out_of_the_table():
    dataset = element("00189999", "LO", "abc")
    assert matches(dataset, "00189999", "UN", "a*")


def test_many_asterisks_take_no_time():
    dataset = element("00100020", "LO", "a" * 2000)
    assert not matches(dataset, "00100020", "LO", "*a" * 500 + "b")


@pytest.mark.parametrize(
    ("vr", "key"),
    [("DA", "2024"), ("DA", "-"), ("DA", "20240101-2024"), ("TM", "1"), ("DA", "x")],
)
def test_a_bad_date_or_time_is_told_without_its_value(vr, key):
    with pytest.raises(BadRequestError, match="00080020") as caught:
        check("00080020", vr, key)
    assert key not in str(caught.value).replace("00080020", "").split()
