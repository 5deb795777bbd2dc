"""From the chart and images of an earlier commit to these and back, under load."""

import json
import os
import uuid

import pytest
from demo.install import component_images
from demo.place import LOCAL_AWS_VALUES, ROOT
from support import cluster, upgrade

RELEASE = "upgrade"
STORESCP = "upgrade-isocenter-storescp"


@pytest.fixture
def place(kubectl):
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.run("create", "namespace", name)
    cluster.run(
        *("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    )
    yield name
    cluster.run("delete", "namespace", name, "--wait=false")


@pytest.fixture
def here(place):
    """kubectl in the namespace."""

    def run(*arguments, **options):
        return cluster.run("-n", place, *arguments, **options)

    return run


@pytest.fixture
def runs(here):
    """TrainingRuns by name."""

    def read():
        listed = json.loads(here("get", "trainingruns", "-o", "json").stdout)
        return {item["metadata"]["name"]: item for item in listed["items"]}

    return read


def phase_of(run):
    return run.get("status", {}).get("phase", "Pending")


def pod_uid(here, name):
    return here("get", "pod", f"{name}-0", "-o", "jsonpath={.metadata.uid}").stdout


@pytest.fixture
def platform(aws):
    with upgrade.platform(aws, f"upgrade-{uuid.uuid4().hex[:8]}") as made:
        yield made


@pytest.fixture
def release(place, platform, tmp_path):
    """Installed from the earlier commit, chart and images."""
    repository = upgrade.checkout(tmp_path / "earlier")
    present = upgrade.present_images()
    earlier = present | upgrade.earlier_images(repository, dict(os.environ))
    assert earlier["storescp"] != present["storescp"]
    upgrade.install_tls(place, "isocenter-dicom-tls")
    installed = upgrade.Release(RELEASE, place, platform)
    installed.install(
        repository / "charts/isocenter",
        repository / "charts/devcloud/isocenter-values.yaml",
        *upgrade.single_images(earlier),
    )
    return installed


@pytest.fixture
def under_way(runs, wait_for):
    """Waits until a run's execution has begun."""

    def wait(name):
        wait_for(lambda: phase_of(runs().get(name, {})) == "Running", seconds=240)

    return wait


@pytest.fixture
def begin(here, runs, under_way):
    """Makes a run of an image set that another one used, and waits for its begin."""

    def make(name):
        spec = next(iter(runs().values()))["spec"]
        here("create", "-f", "-", stdin=training_run(name, spec))
        under_way(name)

    return make


@pytest.mark.timeout(2400)
# pynetdicom leaves the sockets of failed connections to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nothing_is_lost_on_the_way_there_and_back(
    aws, here, runs, wait_for, release, platform, under_way, begin
):
    here("apply", "-f", "-", stdin=trigger(platform))
    with upgrade.Modality(release.namespace, STORESCP) as modality:
        wait_for(runs, seconds=180)
        under_way(next(iter(runs())))
        pods = [pod_uid(here, STORESCP)]

        def goes_on():
            pods.append(pod_uid(here, STORESCP))
            before = len(modality.acknowledged)
            wait_for(lambda: len(modality.acknowledged) > before + 10)

        release.install(
            ROOT / "charts/isocenter",
            LOCAL_AWS_VALUES,
            *component_images(upgrade.present_images()),
        )
        goes_on()
        # The chart's own test: a study of its own, and a run of that.
        said = release.test()
        assert "8 of 8 instances acknowledged" in said
        assert ": Succeeded" in said
        assert "selftest" not in here("get", "pods,netpol", "-o", "name").stdout
        begin("during")
        release.rollback(1)
        goes_on()
        begin("after")
    assert len(set(pods)) == 3, "the Store SCP was not replaced"
    everything_arrived(aws("s3"), platform.bucket, modality.acknowledged, wait_for)

    ended = wait_for(lambda: all_ended(runs()), seconds=900)
    assert {name: phase_of(run) for name, run in ended.items()} == dict.fromkeys(
        ended, "Succeeded"
    )
    # The modality's study's, the chart's test's, and two by hand; each begun once.
    assert len(ended) == 4
    executions = aws("sagemaker").list_pipeline_executions(
        PipelineName=platform.pipeline
    )
    assert len(executions["PipelineExecutionSummaries"]) == len(ended)
    # The spool stays: it may hold what is acknowledged.
    release.uninstall()
    assert here("get", "pvc", "-o", "name").stdout.split() == [
        f"persistentvolumeclaim/spool-{STORESCP}-0"
    ]
    assert len(runs()) == len(ended)


def all_ended(runs):
    ended = {"Succeeded", "Failed", "Stopped"}
    return runs if all(phase_of(run) in ended for run in runs.values()) else None


def everything_arrived(s3, bucket, acknowledged, wait_for):
    """Every data set that was acknowledged is in a sealed batch as it was sent."""

    def all_sealed():
        named = {each["sopInstanceUid"] for each in upgrade.sealed(s3, bucket)}
        return acknowledged.keys() <= named

    wait_for(all_sealed, seconds=180)
    found = upgrade.stored(s3, bucket)
    assert {uid: found[uid] for uid in acknowledged} == {
        uid: {digest} for uid, digest in acknowledged.items()
    }


def trigger(platform):
    return {
        "apiVersion": "isocenter.dev/v1alpha1",
        "kind": "TrainingTrigger",
        "metadata": {"name": "first"},
        "spec": {
            "datastoreId": platform.datastore_id,
            # The study goes on growing; one run of it is enough.
            "events": ["Created"],
            "template": {"pipeline": {"name": platform.pipeline}},
        },
    }


def training_run(name, spec):
    return {
        "apiVersion": "isocenter.dev/v1alpha1",
        "kind": "TrainingRun",
        "metadata": {"name": name},
        "spec": {key: spec[key] for key in ("datastoreId", "imageSets", "pipeline")},
    }
