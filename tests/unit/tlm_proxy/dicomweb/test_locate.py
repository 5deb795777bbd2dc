import asyncio
import copy
from dataclasses import replace

import pytest

from isocenter.core.errors import MalformedError
from isocenter.core.testing.image_sets import InstanceSource, build_image_set
from isocenter.tlm_proxy.dicomweb.instance_map import instance_map
from isocenter.tlm_proxy.dicomweb.locate import Locator, Place
from isocenter.tlm_proxy.errors import NotInStudyError
from isocenter.tlm_proxy.frames.key import Store

STORE = Store("eu-west-1", "d" * 32)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def locator(image_sets, clock):
    return Locator(image_sets, ttl_s=60, max_bytes=10_000_000, clock=clock)


def twin(content, *, suffix, series=None):
    """Another image set of the same study: ``content``'s with another id."""
    metadata = copy.deepcopy(content.metadata)
    if series is not None:
        metadata["Study"]["Series"] = {
            series: next(iter(metadata["Study"]["Series"].values()))
        }
    return replace(
        content, image_set_id=content.image_set_id[:-1] + suffix, metadata=metadata
    )


def instance(locator, names, **which):
    place = which.pop("place", Place(STORE, names.study, which.pop("scope", None)))
    series = names.series(which.get("series", 0))
    return asyncio.run(locator.instance(place, series, names.sop(**which), "me"))


def test_a_frame_is_found_once_for_the_whole_study(image_sets, locator, study, names):
    image_sets.add(study)
    named = names(study)
    place = Place(STORE, named.study)
    assert locator.known(place, named.series(), named.sop()) is None
    found = instance(locator, named, series=1)
    assert found.frames == 3
    assert [found.frame_id(n) for n in (1, 3)] == [
        named.frame_id(series=1),
        named.frame_id(series=1, frame=2),
    ]
    assert found.frame_id(0) is found.frame_id(4) is None
    assert (found.image_set_id, found.version) == (study.image_set_id, "1")
    assert found.syntax == "1.2.840.10008.1.2.4.202"
    # All other instances are known now.
    assert locator.known(place, named.series(), named.sop(1)).number == 2
    assert locator.known(place, named.series(1), named.sop()) is None
    assert image_sets.calls == {"search": 1, ("metadata", study.image_set_id): 1}


def test_a_hundred_at_once_cost_one_search(image_sets, locator, study, names):
    named = names(study)

    async def crowd():
        image_sets.add(study)
        image_sets.gate = asyncio.Event()
        place = Place(STORE, named.study)
        asked = [
            asyncio.create_task(
                locator.instance(place, named.series(), named.sop(n % 2), str(n))
            )
            for n in range(100)
        ]
        await asyncio.sleep(0)
        asked[0].cancel()  # who asked first goes away
        await asyncio.sleep(0)
        image_sets.gate.set()
        return await asyncio.gather(*asked[1:])

    assert len(asyncio.run(crowd())) == 99
    assert image_sets.calls == {"search": 1, ("metadata", study.image_set_id): 1}


def test_an_unknown_instance_looks_again_but_not_all_the_time(
    image_sets, locator, clock, study, names
):
    named = names(study)
    image_sets.add(study)
    instance(locator, named)
    for _ in range(5):
        with pytest.raises(NotInStudyError):
            asyncio.run(
                locator.instance(Place(STORE, named.study), named.series(), "9.9", "me")
            )
    assert image_sets.calls["search"] == 1
    clock.now += 3.5
    with pytest.raises(NotInStudyError):
        asyncio.run(
            locator.instance(Place(STORE, named.study), named.series(), "9.9", "me")
        )
    assert image_sets.calls["search"] == 2
    # The version is the same: its metadata isn't read again.
    assert image_sets.calls["metadata", study.image_set_id] == 1


def test_a_new_version_is_seen_after_its_time(image_sets, locator, clock, study, names):
    named = names(study)
    image_sets.add(study)
    assert instance(locator, named).version == "1"
    image_sets.add(study, version="2")
    assert instance(locator, named).version == "1"
    clock.now += 61
    assert locator.known(Place(STORE, named.study), named.series(), named.sop()) is None
    assert instance(locator, named).version == "2"
    assert image_sets.calls["metadata", study.image_set_id] == 2


def test_primary_image_sets_come_first(image_sets, locator, study, names):
    other = twin(study, suffix="z")
    image_sets.add(other, primary=False)
    image_sets.add(study)
    named = names(study)
    assert instance(locator, named).image_set_id == study.image_set_id
    assert image_sets.calls["metadata", other.image_set_id] == 0
    scoped = instance(locator, named, scope=other.image_set_id)
    assert scoped.image_set_id == other.image_set_id
    place = Place(STORE, named.study)
    for scope in (None, other.image_set_id):
        known = locator.known(
            place._replace(image_set_id=scope), named.series(), named.sop()
        )
        assert known.image_set_id == (scope or study.image_set_id)


def test_only_the_image_sets_of_the_series_are_read(image_sets, locator, study, names):
    far = twin(study, suffix="y", series="1.2.3")
    image_sets.add(far)
    image_sets.add(study)
    instance(locator, names(study))
    assert image_sets.calls["metadata", far.image_set_id] == 0


def test_an_image_set_whose_tags_name_another_series_is_read_at_last(
    image_sets, locator, study, names
):
    image_sets.add(study)  # its tags name its first series only
    assert instance(locator, names(study), series=1).frames == 3


def test_one_series_in_several_image_sets(image_sets, locator, study, names):
    named = names(study)
    other = twin(study, suffix="x")
    uid = named.series()
    instances = other.metadata["Study"]["Series"][uid]["Instances"]
    instances["1.5"] = {**instances.pop(named.sop()), "DICOM": {"InstanceNumber": "9"}}
    image_sets.add(study)
    image_sets.add(other)
    found = asyncio.run(locator.series(Place(STORE, named.study), uid, "me"))
    assert [each.sop_uid for each in found] == [named.sop(0), named.sop(1), "1.5"]


def test_what_only_a_non_primary_set_holds_is_found(image_sets, locator, study, names):
    image_sets.add(study, primary=False, tagged=False)
    named = names(study)
    assert instance(locator, named).image_set_id == study.image_set_id
    place = Place(STORE, named.study)
    assert len(asyncio.run(locator.series(place, named.series(), "me"))) == 2
    with pytest.raises(NotInStudyError):
        asyncio.run(locator.series(place, "1.2", "me"))


def test_maps_are_bounded(image_sets, clock, names):
    contents = [
        build_image_set([InstanceSource()] * 10, name=str(n), datastore_id="d" * 32)
        for n in range(5)
    ]
    locator = Locator(image_sets, ttl_s=60, max_bytes=11_000, clock=clock)
    for content in contents:
        image_sets.add(content)
        instance(locator, names(content))
    assert 0 < locator.used_bytes <= 11_000
    oldest, newest = names(contents[0]), names(contents[-1])
    assert locator.known(Place(STORE, newest.study), newest.series(), newest.sop())
    assert not locator.known(Place(STORE, oldest.study), oldest.series(), oldest.sop())


def test_a_deleted_image_set_is_listed_anew(image_sets, locator, clock, study, names):
    image_sets.add(study)
    named = names(study)
    place = Place(STORE, named.study)
    asyncio.run(locator.image_sets(place, "me"))
    del image_sets.contents[study.image_set_id]
    clock.now += 4
    for _ in range(3):
        with pytest.raises(NotInStudyError):
            instance(locator, named)
    assert image_sets.calls["search"] == 2


def test_a_deleted_image_set_does_not_hide_the_others(
    image_sets, locator, clock, study, names
):
    gone = twin(study, suffix="w")
    image_sets.add(gone)
    image_sets.add(study)
    named = names(study)
    place = Place(STORE, named.study)
    asyncio.run(locator.image_sets(place, "me"))
    del image_sets.contents[gone.image_set_id]
    assert instance(locator, named).image_set_id == study.image_set_id
    assert len(asyncio.run(locator.series(place, named.series(), "me"))) == 2
    # Nor does it cost a call for every frame while it is still listed.
    assert locator.known(place, named.series(), named.sop())
    assert image_sets.calls["metadata", gone.image_set_id] == 1
    assert image_sets.calls["search"] == 1


def test_a_primary_set_of_several_series_goes_before_a_non_primary_of_one(
    image_sets, locator, study, names
):
    # From before there were primary image sets; its tags name its first series.
    image_sets.add(study, primary=None)
    named = names(study)
    other = twin(study, suffix="v")
    del other.metadata["Study"]["Series"][named.series(0)]
    image_sets.add(other, primary=False)
    assert instance(locator, named, series=1).image_set_id == study.image_set_id
    place = Place(STORE, named.study)
    (found,) = asyncio.run(locator.series(place, named.series(1), "me"))
    assert found.image_set_id == study.image_set_id
    assert locator.known(place, named.series(1), named.sop(series=1)) == found


def test_lists_of_image_sets_are_bounded(image_sets, locator, monkeypatch, names):
    monkeypatch.setattr("isocenter.tlm_proxy.dicomweb.locate.MAX_LISTED", 3)
    contents = [
        build_image_set([InstanceSource()], name=f"l{n}", datastore_id="d" * 32)
        for n in range(5)
    ]
    for content in contents:
        image_sets.add(content)
        instance(locator, names(content))
    places = [Place(STORE, names(content).study) for content in contents]
    locator.forget(places[-1])
    assert [
        locator.known(place, named.series(), named.sop()) is not None
        for place, named in zip(places, map(names, contents), strict=True)
    ] == [False, False, True, True, False]
    instance(locator, names(contents[0]))
    assert locator.known(
        places[2], names(contents[2]).series(), names(contents[2]).sop()
    )


def test_frame_ids_of_another_length_are_not_guessed(study, names):
    document = copy.deepcopy(study.metadata)
    named = names(study)
    entry = document["Study"]["Series"][named.series()]["Instances"][named.sop()]
    entry["ImageFrames"][0]["ID"] = "short"
    mapped = instance_map("i", "1", document)
    assert mapped.instances[named.sop()].frames == 0
    with pytest.raises(MalformedError):
        instance_map("i", "1", {"Study": {}})
