"""The facade over HTTP, with HealthImaging in memory."""

import io

import numpy as np
import pytest
from PIL import Image

from isocenter.core.codestream import scan_levels
from isocenter.core.testing.image_sets import InstanceSource, build_image_set

JSON = "application/dicom+json"
OHIF_FRAME = "multipart/related; type=application/octet-stream; transfer-syntax=*"


def row(tag, vr, *values):
    return {tag: {"vr": vr, "Value": list(values)}}


@pytest.fixture
def named(names, study, image_sets):
    image_sets.add(study)
    return names(study)


def test_ohifs_study_list(ask, root, upstream):
    listed = row("0020000D", "UI", "1.2") | row("00100020", "LO", "P1")
    upstream.dicomweb.rows["studies"] = [listed]
    query = "limit=101&offset=0&fuzzymatching=false&includefield=00081030,00080060"
    found, filtered, empty = ask(
        (f"{root}/studies?{query}", {"Accept": JSON}),
        f"{root}/studies?00100020=P1&limit=101",
        f"{root}/studies?00100020=P2&limit=101",
    )
    assert found.status_code == 200
    assert found.headers["content-type"] == JSON
    assert found.json() == filtered.json() == [listed]
    assert empty.json() == []
    assert "warning" not in found.headers
    assert found.headers["cache-control"] == "private, no-store"


def test_large_answers_are_streamed_and_compressed(ask, root, upstream):
    rows = [row("0020000D", "UI", f"1.{n}") for n in range(3000)]
    upstream.dicomweb.rows["studies"] = rows
    plain, packed = ask(
        (f"{root}/studies", {"Accept-Encoding": "identity"}),
        (f"{root}/studies", {"Accept-Encoding": "br, gzip"}),
    )
    assert plain.json() == packed.json() == rows
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers


def test_searches_of_series_and_instances(ask, root, upstream, named):
    series = f"studies/{named.study}/series"
    upstream.dicomweb.rows[series] = [row("0020000E", "UI", named.series())]
    instances = f"{series}/{named.series()}/instances"
    upstream.dicomweb.rows[instances] = [row("00080018", "UI", named.sop())]
    found = ask(
        f"{root}/{series}?includefield=0008103E,00080021",
        f"{root}/{instances}?limit=1",
    )
    assert [each.json() for each in found] == [
        upstream.dicomweb.rows[series],
        upstream.dicomweb.rows[instances],
    ]


def test_non_primary_sets_on_request(ask, root, upstream, names, study, image_sets):
    image_sets.add(study, primary=False)
    named = names(study)
    path = f"{root}/studies/{named.study}/series"
    upstream.dicomweb.rows[f"studies/{named.study}/series"] = [
        row("0020000E", "UI", "1.1")
    ]
    only, both, paged = ask(
        path,
        f"{path}?includeNonPrimary=true",
        f"{path}?includeNonPrimary=true&offset=1&limit=1",
    )
    uids = [each["0020000E"]["Value"][0] for each in both.json()]
    assert uids == ["1.1", named.series(0), named.series(1)]
    assert only.json() == both.json()[:1]
    assert paged.json() == both.json()[1:2]


def test_non_primary_sets_of_other_series_are_not_read(
    ask, root, names, study, image_sets
):
    image_sets.add(study, primary=False)
    named = names(study)
    path = f"{root}/studies/{named.study}/series/1.2.3/instances"
    (found,) = ask(f"{path}?includeNonPrimary=true")
    assert found.json() == []
    assert image_sets.calls["metadata", named.image_set] == 0


def test_half_a_surrogate_pair_does_not_break_an_answer_off(ask, root, upstream):
    upstream.dicomweb.rows["studies"] = [row("00081030", "LO", "knee \ud83d")]
    (found,) = ask(f"{root}/studies")
    assert found.json()[0]["00081030"]["Value"] == ["knee ?"]


def test_one_image_set_as_root(ask, root, names, study, image_sets, upstream):
    image_sets.add(study, primary=False)
    named = names(study)
    scoped = f"{root}/imageset/{named.image_set}"
    studies, series, filtered, instances, other, by_query = ask(
        f"{scoped}/studies?includefield=00081030",
        f"{scoped}/studies/{named.study}/series",
        f"{scoped}/studies?PatientID=P-2",
        f"{scoped}/studies/{named.study}/series/{named.series()}/instances?limit=1",
        f"{scoped}/studies/1.2/series",
        f"{root}/studies?imageSetId={named.image_set}",
    )
    (found,) = studies.json()
    assert found["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "DOE^JANE"}]}
    assert found["00100020"]["Value"] == ["P-1"]
    assert found["00080061"]["Value"] == ["CT"]
    assert found["00201206"]["Value"] == [2]
    assert found["00201208"]["Value"] == [3]
    assert found["00100021"] == {"vr": "LO"}
    assert [each["00201209"]["Value"] for each in series.json()] == [[2], [1]]
    assert [each["00200011"]["Value"] for each in series.json()] == [[1], [2]]
    assert filtered.json() == []
    assert instances.json()[0]["00080018"]["Value"] == [named.sop()]
    assert other.status_code == 404
    assert by_query.json() == studies.json()
    assert upstream.dicomweb.queries == []


def test_series_metadata(ask, root, upstream, named):
    path = f"studies/{named.study}/series/{named.series()}/metadata"
    upstream.dicomweb.series_metadata[path, None] = [
        row("00080018", "UI", named.sop())
        | row("00280030", "DS", 0.5, 0.5)
        | {"7FE00010": {"vr": "OW", "BulkDataURI": "x"}}
    ]
    (answer,) = ask((f"{root}/{path}", {"Accept": JSON}))
    (found,) = answer.json()
    assert "7FE00010" not in found
    assert found["00280030"]["Value"] == [0.5, 0.5]
    assert found["00083002"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.202"]}
    assert upstream.dicomweb.queries == [(path, [])]


def test_metadata_leads_nowhere_but_here(ask, root, upstream, named):
    path = f"studies/{named.study}/series/{named.series()}/metadata"
    link = {"vr": "OB", "BulkDataURI": "https://dicom-medical-imaging.example/x"}
    sequence = {"vr": "SQ", "Value": [{"00420011": link}, None]}
    upstream.dicomweb.series_metadata[path, None] = [
        row("00080018", "UI", named.sop())
        | {"00081190": {"vr": "UR", "Value": ["https://x"]}}
        | {"00420011": link, "00091010": sequence, "00091020": None}
    ]
    (answer,) = ask(f"{root}/{path}")
    (found,) = answer.json()
    assert "https:" not in answer.text
    assert found["00091010"]["Value"] == [{}, None]


def test_series_metadata_of_image_sets(ask, root, upstream, names, study, image_sets):
    image_sets.add(study, primary=False)
    named = names(study)
    path = f"studies/{named.study}/series/{named.series()}/metadata"
    found = [row("00080018", "UI", named.sop())]
    upstream.dicomweb.series_metadata[path, named.image_set] = found
    primary, both, scoped = ask(
        f"{root}/{path}",
        f"{root}/{path}?includeNonPrimary=true",
        f"{root}/imageset/{named.image_set}/{path}",
    )
    assert primary.status_code == 404
    assert len(both.json()) == len(scoped.json()) == 1
    assert upstream.dicomweb.queries[-1] == (path, [("imageSetId", named.image_set)])


def test_metadata_comes_even_when_the_map_does_not(ask, root, upstream):
    path = "studies/1.2/series/1.3/metadata"
    upstream.dicomweb.series_metadata[path, None] = [row("00080018", "UI", "1.4")]
    (answer,) = ask(f"{root}/{path}")
    assert answer.json() == [row("00080018", "UI", "1.4")]


def test_a_frame_is_stored_bytes_in_a_multipart(ask, root, upstream, named):
    path = f"{root}{named.instance(1)}/frames/1"
    cold, warm = ask((path, {"Accept": OHIF_FRAME}), path)
    stored = named.stored(1)
    boundary = cold.headers["content-type"].rpartition("boundary=")[2]
    assert cold.headers["content-type"] == (
        'multipart/related; type="image/jphc"; '
        f"transfer-syntax=1.2.840.10008.1.2.4.202; boundary={boundary}"
    )
    expected = (
        f"--{boundary}\r\nContent-Type: image/jphc;"
        "transfer-syntax=1.2.840.10008.1.2.4.202\r\n\r\n"
    ).encode() + stored
    assert cold.content == warm.content == expected + f"\r\n--{boundary}--\r\n".encode()
    assert int(cold.headers["content-length"]) == len(cold.content)
    assert int(warm.headers["content-length"]) == len(warm.content)
    assert "content-encoding" not in warm.headers
    assert upstream.frames[named.frame_id(1)] == 1


def part(answer):
    """The body of the only part."""
    boundary = answer.headers["content-type"].rpartition("boundary=")[2].encode()
    head, _, rest = answer.content.partition(b"\r\n\r\n")
    assert head.startswith(b"--" + boundary + b"\r\nContent-Type: ")
    assert rest.endswith(b"\r\n--" + boundary + b"--\r\n")
    return rest[: -len(boundary) - 8]


def test_frames_of_a_multi_frame_instance(ask, root, named):
    path = f"{root}{named.instance(series=1)}/frames"
    answers = ask(f"{path}/1", f"{path}/2", f"{path}/3", f"{path}/4")
    for number, answer in enumerate(answers[:3]):
        assert part(answer) == named.stored(series=1, frame=number)
    assert answers[3].status_code == 404
    assert "3 frames" in answers[3].json()["detail"]


def test_reduced_frames(ask, root, named):
    path = f"{root}{named.instance()}/frames/1"
    cold, warm, whole = ask(f"{path}?reduce=1", f"{path}?reduce=1", path)
    stored = named.stored()
    ends = scan_levels(stored).ends
    assert len(ends) == 2
    assert part(cold) == part(warm) == stored[: ends[0]]
    assert part(whole) == stored
    assert cold.headers["etag"] != whole.headers["etag"]


def test_a_frame_unchanged_is_not_sent(ask, root, context, named):
    path = f"{root}{named.instance()}/frames/1"
    (first,) = ask(path)
    (again,) = ask((path, {"If-None-Match": first.headers["etag"]}))
    assert again.status_code == 304
    assert "immutable" not in first.headers["cache-control"]


def test_frames_within_an_image_set(ask, root, names, study, image_sets):
    image_sets.add(study, primary=False)
    named = names(study)
    frame = f"{named.instance()}/frames/1"
    found, by_query, other = ask(
        f"{root}/imageset/{named.image_set}{frame}",
        f"{root}{frame}?imageSetId={named.image_set}",
        f"{root}/imageset/{'0' * 32}{frame}",
    )
    assert part(found) == part(by_query) == named.stored()
    assert other.status_code == 404


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("{i}/frames/1,2", {}, 400),
        ("{i}/frames/0", {}, 400),
        ("{i}/frames/x", {}, 400),
        ("{i}/frames/99999999", {}, 400),
        ("{i}/frames/1?reduce=x", {}, 400),
        ("{i}/frames/1", {"Accept": "image/png"}, 406),
        ("{i}/frames/1", {"Accept": 'multipart/related; type="image/jpeg"'}, 406),
        ("{i}9/frames/1", {}, 404),
        ("/studies?limit=x", {}, 400),
        ("/studies?PatientsName=Jane", {}, 400),
        ("/studies?offset=10000", {}, 400),
        ("/studies", {"Accept": "application/dicom+xml"}, 406),
        ("/studies/../series", {}, 404),
        ("/studies/x/series", {}, 400),
        ("{i}/thumbnail?viewport=0,9", {}, 400),
        ("{i}/thumbnail?viewport=256", {}, 400),
        ("{i}/thumbnail", {"Accept": "image/png"}, 406),
    ],
)
def test_bad_requests_are_problems(ask, root, named, path, headers, status):
    (answer,) = ask((root + path.format(i=named.instance()), headers))
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert "Jane" not in answer.text


@pytest.mark.parametrize("path", ["/studies", "{i}/frames/1", "{i}/thumbnail"])
def test_other_regions_and_data_stores_are_closed(ask, root, named, path):
    path = path.format(i=named.instance())
    elsewhere, forbidden = ask(
        root.replace("eu-west-1", "us-east-1") + path,
        root.replace("d" * 32, "e" * 32) + path,
    )
    assert elsewhere.status_code == 404
    assert "eu-west-1" in elsewhere.json()["detail"]
    assert forbidden.status_code == 403


def test_no_name_of_a_patient_is_logged(ask, root, upstream, caplog):
    upstream.dicomweb.rows["studies"] = [{}]
    with caplog.at_level("DEBUG"):
        ask(
            f"{root}/studies?PatientName=*juno*",
            f"{root}/studies?PatientName=juno&limit=x",
            f"{root}/studies/1.2/series/1.3/metadata?PatientName=juno",
        )
    mine = [r for r in caplog.records if r.name.startswith("isocenter")]
    assert not any("juno" in str(vars(record)) for record in mine)


def grey(answer):
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as image:
        return np.asarray(image).astype(int)


def test_thumbnails(ask, root, upstream, named):
    series = f"{root}/studies/{named.study}/series/{named.series()}/thumbnail"
    found, again, one = ask(
        (f"{series}?viewport=80,80", {"Accept": "image/jpeg"}),
        f"{series}?viewport=80,80",
        f"{root}{named.instance(1)}/thumbnail?viewport=80,80",
    )
    assert grey(found).shape == (48, 80)
    assert grey(found)[:, 0].max() < 10
    assert grey(found)[:, -1].min() > 245
    # Two instances: the middle one is the second.
    assert found.content == again.content == one.content
    assert sum(upstream.frames.values()) == 1


def test_a_thumbnail_unchanged_is_not_sent(ask, root, named):
    path = f"{root}{named.instance()}/thumbnail"
    (first,) = ask(path)
    (again,) = ask((path, {"If-None-Match": first.headers["etag"]}))
    assert (again.status_code, again.content) == (304, b"")


def test_what_cannot_be_drawn_has_no_thumbnail(ask, root, image_sets, names):
    report = build_image_set([InstanceSource()], name="sr", datastore_id="d" * 32)
    palette = build_image_set(
        [
            InstanceSource(
                [np.zeros((64, 64), np.uint8)],
                dicom={"PhotometricInterpretation": "PALETTE COLOR"},
            )
        ],
        name="palette",
        datastore_id="d" * 32,
    )
    for content in (report, palette):
        image_sets.add(content)
    first, second = names(report), names(palette)
    answers = ask(
        f"{root}{first.instance()}/thumbnail",
        f"{root}/studies/{first.study}/series/{first.series()}/thumbnail",
        f"{root}{second.instance()}/thumbnail",
    )
    assert [each.status_code for each in answers] == [404] * 3
    assert "PALETTE COLOR" in answers[2].json()["detail"]


def test_a_broken_frame_has_no_thumbnail(ask, root, image_sets, names, ramp):
    content = build_image_set(
        [InstanceSource([ramp], dicom={"Rows": 95})], datastore_id="d" * 32
    )
    image_sets.add(content)
    (answer,) = ask(f"{root}{names(content).instance()}/thumbnail")
    assert answer.status_code == 404


def test_the_routes_are_described(ask):
    (answer,) = ask("/openapi.json")
    paths = {path for path in answer.json()["paths"] if path.startswith("/dicomweb")}
    below = {path.partition("studies")[2] for path in paths}
    assert len(paths) == 14
    assert "/{study}/series/{series}/instances/{instance}/frames/{frame}" in below
