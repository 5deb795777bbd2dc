"""The waiting half of `helm test`: decisions by table, then the whole over fakes."""

import json
from datetime import UTC, datetime

import pytest

from isocenter.core.errors import ConfigurationError, UnavailableError
from isocenter.core.healthimaging.answers import FoundImageSet
from isocenter.operator import selftest
from isocenter.operator.resources import DICOMImportJob, TrainingRun, TrainingTrigger
from isocenter.operator.selftest import (
    Progress,
    SelfTestFailedError,
    expected_runs,
    import_progress,
    run_progress,
)

ONE = "1" * 32
DATASTORE = "d" * 32
NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
FOUND = FoundImageSet(image_set_id=ONE, version_id="1", is_primary=True, updated_at=NOW)


@pytest.fixture
def job(import_body):
    def make(name="a-batch", **status):
        body = import_body | {"metadata": import_body["metadata"] | {"name": name}}
        return DICOMImportJob.model_validate(body | {"status": status})

    return make


@pytest.fixture
def run(run_body):
    def make(name, **status):
        body = run_body | {"metadata": run_body["metadata"] | {"name": name}}
        return TrainingRun.model_validate(body | {"status": status})

    return make


@pytest.fixture
def trigger(trigger_body):
    def make(name="t", **spec):
        body = trigger_body(name, **spec)
        body["metadata"]["namespace"] = "imaging"
        return TrainingTrigger.model_validate(body)

    return make


def test_before_there_is_an_image_set(job):
    assert "there is no DICOMImportJob" in import_progress([], []).text
    seen = import_progress([job(phase="Failed", message="no role")], [])
    assert not seen.done
    assert "a-batch, Failed: no role" in seen.text


def test_the_import_is_done_when_its_job_says_so(job):
    other = job("other", phase="Completed", imageSets=[{"id": "2" * 32}])
    under_way = job(phase="InProgress")
    assert not import_progress([other, under_way], [FOUND]).done
    done = job(phase="Completed", imageSets=[{"id": ONE}], message="8 of 8", failed=0)
    progress = import_progress([other, done], [FOUND])
    assert progress.done
    assert "a-batch: 8 of 8" in progress.text


def test_files_that_were_left_out_fail_the_test(job):
    done = job(phase="Completed", imageSets=[{"id": ONE}], message="7 of 8", failed=1)
    with pytest.raises(SelfTestFailedError, match="7 of 8"):
        import_progress([done], [FOUND])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, [f"t-{ONE}-v1"]),
        ({"suspend": True}, []),
        ({"events": ["Updated"]}, []),
        ({"datastoreId": "e" * 32}, []),
        ({"template": {"pipeline": {"name": "train"}, "suspend": True}}, []),
    ],
)
def test_runs_are_those_that_triggers_make(trigger, spec, expected):
    assert expected_runs([trigger(**spec)], DATASTORE, [FOUND]) == expected


def test_runs_are_waited_for_all(run):
    names = ["a", "b"]
    assert "b: not made yet" in run_progress(names, [run("a", phase="Succeeded")]).text
    both = [run("a", phase="Succeeded"), run("b", phase="Running")]
    assert not run_progress(names, both).done
    both[1] = run("b", phase="Succeeded")
    assert run_progress(names, both).done


@pytest.mark.parametrize("phase", ["Failed", "Stopped"])
def test_a_run_that_did_not_succeed_fails_the_test(run, phase):
    ended = run("a", phase=phase, message="TrainModel: no data")
    with pytest.raises(SelfTestFailedError, match="no data"):
        run_progress(["a"], [ended])


class Clock:
    """Time that passes while somebody sleeps."""

    now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


def test_waiting_says_each_change_once_and_then_gives_up(capsys):
    texts = iter(["a", "a", "b"] + ["c"] * 100)
    clock = Clock()
    with pytest.raises(SelfTestFailedError, match="not within 10 s: c"):
        selftest.wait(lambda: Progress(next(texts)), 10, clock=clock, sleep=clock.sleep)
    assert capsys.readouterr().out.split() == ["a", "b", "c"]
    assert clock.now < 14


def test_a_service_that_is_away_for_a_moment_is_asked_again(capsys):
    looks = iter([UnavailableError("away"), Progress("there", done=True)])
    clock = Clock()

    def look():
        found = next(looks)
        if isinstance(found, Exception):
            raise found
        return found

    selftest.wait(look, 10, clock=clock, sleep=clock.sleep)
    assert capsys.readouterr().out.split() == ["away", "there"]


def test_what_cannot_be_read_is_said(tmp_path):
    path = tmp_path / "sent.json"
    path.write_text("{}")
    with pytest.raises(ConfigurationError, match=r"sent\.json does not say"):
        selftest.read_sent(path)


def test_the_whole(
    api, cluster, healthimaging_api, healthimaging, trigger_body, monkeypatch,
    tmp_path, capsys, import_body, run_body,
):  # fmt: skip
    monkeypatch.setattr(selftest.Cluster, "connect", lambda _: cluster)
    monkeypatch.setattr(selftest.HealthImaging, "connect", lambda: healthimaging)
    monkeypatch.setattr(selftest, "_POLL_S", 0.0)
    searches = []

    def search(**p):
        healthimaging_api.call("SearchImageSets", p)
        searches.append(p["searchCriteria"]["filters"][0]["values"][0])
        return {
            "imageSetsMetadataSummaries": [
                {"imageSetId": ONE, "version": 1, "isPrimary": True, "updatedAt": NOW}
            ]
        }

    monkeypatch.setattr(healthimaging_api, "search_image_sets", search)
    name = f"t-{ONE}-v1"
    run_body["metadata"]["name"] = name
    for plural, body, status in (
        (
            "dicomimportjobs",
            import_body,
            {"phase": "Completed", "imageSets": [{"id": ONE}], "message": "2 of 2"},
        ),
        ("trainingtriggers", trigger_body(), {}),
        ("trainingruns", run_body, {"phase": "Succeeded"}),
    ):
        api.create_namespaced_custom_object(plural=plural, body=body)
        api.objects[plural, body["metadata"]["name"]]["status"] = status
    sent = tmp_path / "sent.json"
    sent.write_text(
        json.dumps({"studyInstanceUid": "1.2", "instances": 2, "said": ["C-ECHO: yes"]})
    )
    arguments = [f"--sent={sent}", "--namespace=imaging", f"--datastore-id={DATASTORE}"]
    assert selftest.main(arguments) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "C-ECHO: yes"
    assert "2 of 2" in said[1]
    assert said[2] == f"TrainingRun {name}: Succeeded"
    assert said[3].startswith("it stays")
    assert searches == [{"DICOMStudyInstanceUID": "1.2"}]

    api.objects["trainingruns", name]["status"] = {"phase": "Failed", "message": "bad"}
    assert selftest.main(arguments) == 1
    assert (
        capsys.readouterr().out.splitlines()[-1] == f"TrainingRun {name}: Failed: bad"
    )
    assert selftest.main([*arguments, "--run-timeout=0"]) == 0
    assert "not waited for" in capsys.readouterr().out
