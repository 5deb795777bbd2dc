import asyncio

import pytest

from isocenter.tlm_proxy.dicomweb.query import parse_search
from isocenter.tlm_proxy.dicomweb.search import MORE, Searches
from isocenter.tlm_proxy.errors import BadRequestError
from isocenter.tlm_proxy.frames.key import Store

STORE = Store("eu-west-1", "d" * 32)


def study(number, patient="P1", name="DOE^JANE"):
    return {
        "0020000D": {"vr": "UI", "Value": [f"1.{number}"]},
        "00100020": {"vr": "LO", "Value": [patient]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": name}]},
    }


@pytest.fixture
def find(upstream):
    def found(*parameters, max_rows=10_000):
        searches = Searches(upstream.dicomweb, max_rows)
        query = parse_search("study", parameters)
        return asyncio.run(searches.find(STORE, "studies", query, "me"))

    return found


def uids(found):
    return [row["0020000D"]["Value"][0] for row in found.rows]


def pages(upstream):
    return [
        (dict(query)["limit"], dict(query)["offset"])
        for _, query in upstream.dicomweb.queries
    ]


def test_limit_and_offset_are_passed_on_without_keys(upstream, find):
    upstream.dicomweb.rows["studies"] = [study(n) for n in range(500)]
    found = find(("limit", "101"), ("offset", "202"))
    assert uids(found) == [f"1.{n}" for n in range(202, 303)]
    assert pages(upstream) == [("101", "202")]
    assert found.warnings == ()


def test_without_a_limit_all_pages_are_read(upstream, find):
    upstream.dicomweb.rows["studies"] = [study(n) for n in range(2500)]
    found = find()
    assert len(found.rows) == 2500
    assert pages(upstream) == [("1000", "0"), ("1000", "1000"), ("1000", "2000")]


def test_a_patients_studies_only_even_if_upstream_ignores_the_key(upstream, find):
    """Else a viewer shows another patient's studies beside this one's."""
    upstream.dicomweb.rows["studies"] = [study(n, f"P{n % 3}") for n in range(30)]
    found = find(("00100020", "P1"), ("limit", "3"), ("offset", "1"))
    assert uids(found) == ["1.4", "1.7", "1.10"]


def test_a_key_that_upstream_knows_costs_one_page(upstream, find):
    upstream.dicomweb.filters = {"00100020"}
    upstream.dicomweb.rows["studies"] = [study(n, f"P{n % 3}") for n in range(30)]
    assert uids(find(("PatientID", "P1"), ("limit", "2"))) == ["1.1", "1.4"]
    assert len(upstream.dicomweb.queries) == 1


def test_names_are_filtered_here_before_they_are_counted(upstream, find):
    upstream.dicomweb.rows["studies"] = [
        study(n, name="JUNO^A" if n % 100 == 0 else "DOE") for n in range(3000)
    ]
    found = find(("PatientName", "*juno*"), ("limit", "5"), ("offset", "8"))
    assert uids(found) == [f"1.{n}" for n in (800, 900, 1000, 1100, 1200)]
    # As soon as there are enough, no further page is asked for.
    assert pages(upstream) == [("1000", "0"), ("1000", "1000")]
    assert all("PatientName" not in str(q) for _, q in upstream.dicomweb.queries)


def test_what_lies_past_the_bound_is_said(upstream, find):
    upstream.dicomweb.rows["studies"] = [study(n) for n in range(3000)]
    found = find(("PatientName", "doe*"), max_rows=1500)
    assert len(found.rows) == 1500
    assert found.warnings == (MORE,)
    assert find(("limit", "10"), max_rows=1500).warnings == ()
    assert find(max_rows=1500).warnings == (MORE,)
    assert find(("limit", "100"), ("offset", "1450"), max_rows=1500).warnings == (MORE,)


def test_an_offset_past_what_healthimaging_gives_is_refused(find):
    with pytest.raises(BadRequestError, match="10000"):
        find(("offset", "10000"))


def test_a_list_of_uids_is_one_search_each(upstream, find):
    upstream.dicomweb.filters = {"0020000D"}
    upstream.dicomweb.rows["studies"] = [study(n) for n in range(50)]
    assert uids(find(("StudyInstanceUID", "1.7,1.3"))) == ["1.7", "1.3"]
    assert len(upstream.dicomweb.queries) == 2


def test_an_upstream_that_ignores_offset_ends(upstream, find):
    upstream.dicomweb.rows["studies"] = [study(n) for n in range(1000)]
    search = upstream.dicomweb.search

    async def stuck(store, path, query, client):
        query = [(n, "0" if n == "offset" else v) for n, v in query]
        return await search(store, path, query, client)

    upstream.dicomweb.search = stuck
    assert len(find().rows) == 1000
    assert len(upstream.dicomweb.queries) == 2


def test_urls_past_the_proxy_and_fuzzy_matching(upstream, find):
    upstream.dicomweb.rows["studies"] = [
        {**study(1), "00081190": {"vr": "UR", "Value": ["https://aws"]}}
    ]
    found = find(("fuzzymatching", "true"))
    assert "00081190" not in found.rows[0]
    assert "Only literal matching" in found.warnings[0]
    assert upstream.dicomweb.rows["studies"][0]["0020000D"]


def test_limit_0_asks_nobody(upstream, find):
    assert find(("limit", "0")).rows == []
    assert upstream.dicomweb.queries == []
