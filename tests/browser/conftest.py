"""Everything a reader's browser meets, as processes on loopback: the local AWS with
imported studies, tile proxies before it, the viewer's web server, a login."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import boto3
import httpx
import pytest
from support.browser import CHROMIUM, Viewer, chromium
from support.identity_provider import CLIENT, POOL, identity_provider
from support.local_aws import BUCKET, DATASTORE, REGION, local_aws_variables
from support.ports import free_port, free_ports
from support.studies import colour_cine, ct_volume, large_mr

ROOT = Path(__file__).resolve().parents[2]
ARTEFACTS = ROOT / "build" / "browser"
FARTHER = "us-west-2"
"""A second region that the proxies serve; no study is there."""
_START_S = 60


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(240))


def until(look, what, seconds=_START_S):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = look()
        if found is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{what} within {seconds} s")


@pytest.fixture(scope="session")
def aws(tmp_path_factory):
    """AWS's variables, set for this process, leading to a local AWS."""
    with local_aws_variables(tmp_path_factory.mktemp("aws")) as variables:
        yield variables


@pytest.fixture(scope="session")
def imaging(aws):
    return boto3.client("medical-imaging")


@pytest.fixture(scope="session")
def s3(aws):
    return boto3.client("s3")


@pytest.fixture(scope="session")
def datastore_id(imaging):
    """The data store of the seed."""
    stores = imaging.list_datastores()["datastoreSummaries"]
    return next(s["datastoreId"] for s in stores if s["datastoreName"] == DATASTORE)


@pytest.fixture(scope="session")
def other_datastore_id(imaging):
    """A second data store; one study is in it."""
    made = imaging.create_datastore(datastoreName="other", clientToken="other")
    found = made["datastoreId"]

    def active():
        answer = imaging.get_datastore(datastoreId=found)["datastoreProperties"]
        return answer["datastoreStatus"] == "ACTIVE" or None

    until(active, "an active data store")
    return found


@pytest.fixture(scope="session")
def import_series(imaging, s3):
    """Imports series into a data store, all by one job."""

    def run(datastore, prefix, *series):
        bodies = [body for each in series for body in each.bodies]
        for number, body in enumerate(bodies):
            key = f"{prefix}/{number:04d}.dcm"
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)
        job_id = imaging.start_dicom_import_job(
            datastoreId=datastore,
            clientToken=prefix,
            dataAccessRoleArn="arn:aws:iam::111122223333:role/import",
            inputS3Uri=f"s3://{BUCKET}/{prefix}/",
            outputS3Uri=f"s3://{BUCKET}/{prefix}-output/",
        )["jobId"]

        def ended():
            answer = imaging.get_dicom_import_job(datastoreId=datastore, jobId=job_id)
            status = answer["jobProperties"]["jobStatus"]
            return status if status in {"COMPLETED", "FAILED"} else None

        assert until(ended, "the end of an import") == "COMPLETED"

    return run


@dataclass(frozen=True)
class Studies:
    """What is imported."""

    volume: object
    large: object
    cine: object
    elsewhere: object


@pytest.fixture(scope="session")
def studies(datastore_id, other_datastore_id, import_series):
    """Patients Juno, Mira and Uma in the first data store, Otto in the other."""
    made = Studies(
        ct_volume("Juno"),
        large_mr("Mira"),
        colour_cine("Uma"),
        ct_volume("Otto", slices=2, size=64),
    )
    import_series(datastore_id, "browser", made.volume, made.large, made.cine)
    import_series(other_datastore_id, "browser-other", made.elsewhere)
    return made


@pytest.fixture(scope="session")
def identity():
    """The identity provider; put back as it was after each test, see `login`."""
    with identity_provider() as provider:
        yield provider


@contextmanager
def process(
    command: list[str], variables: dict[str, str], ready: str, log: Path
) -> Iterator[None]:
    """A process until the block ends; ``ready`` is asked until it answers 200."""
    with log.open("wb") as sink:
        running = subprocess.Popen(
            command,
            env={**os.environ, **variables},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )

    def answers():
        assert running.poll() is None, log.read_text()
        try:
            return httpx.get(ready, timeout=2).status_code == 200 or None
        except httpx.TransportError:
            return None

    try:
        until(answers, f"{command[0]} ready")
        yield
    finally:
        running.terminate()
        try:
            running.wait(timeout=30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@pytest.fixture(scope="session")
def run_proxy(aws, tmp_path_factory):
    """Runs a tile proxy; gives its host:port."""

    @contextmanager
    def run(**settings):
        port, health = free_ports(2)
        variables = {
            "TLM_PROXY_PORT": str(port),
            "TLM_PROXY_HEALTH_PORT": str(health),
            "TLM_PROXY_REGIONS": json.dumps([REGION, FARTHER]),
            "TLM_PROXY_RUNS_S3_URI": f"s3://{BUCKET}/runs/",
            "TLM_PROXY_USAGE_REFRESH_S": "0",
            **settings,
        }
        command = [str(Path(sys.executable).with_name("isocenter-tlm-proxy"))]
        base = f"http://127.0.0.1:{port}"
        log = tmp_path_factory.mktemp("proxy") / "log"
        with process(command, variables, f"{base}/readyz", log):
            yield f"127.0.0.1:{port}"

    return run


@pytest.fixture(scope="session")
def web_folder():
    """A folder that nginx may read, whose workers are nobody's when root starts it."""
    with tempfile.TemporaryDirectory(prefix="isocenter-browser-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def viewer_tree(web_folder):
    """The static files, as the image has them."""
    out = web_folder / "tree"
    built = subprocess.run(
        [ROOT / "services" / "viewer" / "build.sh", out],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    return out


@pytest.fixture(scope="session")
def run_site(viewer_tree, web_folder, datastore_id, other_datastore_id):
    """Serves the viewer, with /dicomweb and /usage of a proxy; gives its origin."""

    @contextmanager
    def run(proxy, *, port=None, oidc=None, connect_src="", proxy_urls=("",)):
        port = port or free_port()
        folder = web_folder / f"site-{port}"
        folder.mkdir()
        stores = [
            ("first", REGION, datastore_id),
            ("second", REGION, other_datastore_id),
            ("farther", FARTHER, datastore_id),
        ]
        platform = {
            "proxyUrls": list(proxy_urls),
            "stores": [
                {"name": name, "region": region, "datastoreId": found}
                for name, region, found in stores
            ],
            "oidc": oidc,
            # Off is only what covers the pictures: the notice and the guided tour.
            "ohif": {
                "investigationalUseDialog": {"option": "never"},
                "customizationService": [{"ohif.tours": {"$set": []}}],
            },
        }
        (folder / "platform.json").write_text(json.dumps(platform))
        variables = {
            "VIEWER_LISTEN": f"127.0.0.1:{port}",
            "VIEWER_ROOT": str(viewer_tree),
            "VIEWER_PLATFORM": str(folder / "platform.json"),
            "VIEWER_PROXY": proxy,
            "VIEWER_CONNECT_SRC": connect_src,
            "VIEWER_RUN": str(folder / "run"),
            # nginx is in Debian's /usr/sbin.
            "PATH": f"{os.environ['PATH']}:/usr/sbin",
        }
        command = [str(ROOT / "services" / "viewer" / "serve.sh")]
        # crypto.subtle (PKCE) is given to https and to localhost only.
        origin = f"http://localhost:{port}"
        with process(command, variables, f"{origin}/readyz", folder / "log"):
            yield origin

    return run


@pytest.fixture(scope="session")
def open_proxy(run_proxy):
    with run_proxy(TLM_PROXY_AUTH_MODE="none") as address:
        yield address


@pytest.fixture(scope="session")
def open_site(run_site, open_proxy, studies):
    """The viewer of an installation without login."""
    with run_site(open_proxy) as origin:
        yield origin


@pytest.fixture(scope="session")
def guarded_site(run_site, run_proxy, identity, studies, datastore_id):
    """The viewer of an installation with login and rights by group."""
    groups = {"readers": [datastore_id]}
    with (
        run_proxy(
            TLM_PROXY_AUTH_MODE="cognito",
            TLM_PROXY_COGNITO_USER_POOL_ID=POOL,
            TLM_PROXY_COGNITO_CLIENT_ID=CLIENT,
            TLM_PROXY_OIDC_ISSUER=identity.issuer,
            TLM_PROXY_DATASTORES_CLAIM="cognito:groups",
            TLM_PROXY_DATASTORE_GROUPS=json.dumps(groups),
        ) as proxy,
        run_site(
            proxy,
            oidc={
                "authority": identity.issuer,
                "clientId": CLIENT,
                "scope": "openid email profile",
                "cognito": True,
            },
            connect_src=identity.base,
        ) as origin,
    ):
        yield origin


@pytest.fixture
def login(identity):
    """The identity provider, told of a reader whose tokens live an hour."""
    identity.lifetime_s, identity.groups = 3600, ("readers",)
    identity.access_tokens.clear()
    identity.revoked.clear()
    identity.refused.clear()
    identity.logged_out_to.clear()
    identity.authorizations = identity.refreshes = 0
    return identity


@pytest.fixture(scope="session")
def artefacts():
    """Where screenshots and figures are kept."""
    return ARTEFACTS


@pytest.fixture(scope="session")
def browser():
    if not Path(CHROMIUM).exists():
        pytest.fail(f"the browser tests need {CHROMIUM}: apt-get install chromium")
    shutil.rmtree(ARTEFACTS, ignore_errors=True)
    with chromium() as running:
        yield running


@pytest.fixture
def visit(browser, request):
    """Opens the viewer as a user of its own; a screenshot is kept at the end."""
    contexts = []

    def open_viewer(origin):
        context = browser.new_context(viewport={"width": 1600, "height": 900})
        viewer = Viewer(context, origin, ARTEFACTS)
        contexts.append((context, viewer))
        return viewer

    yield open_viewer
    for context, viewer in contexts:
        viewer.screenshot(request.node.name.removeprefix("test_"))
        context.close()


@pytest.fixture
def viewer(visit, open_site):
    """The viewer of the installation without login."""
    return visit(open_site)


@pytest.fixture(scope="session")
def training_run(s3, imaging, studies, datastore_id):
    """A finished run on the volume's image set, as its pipeline leaves it in S3."""
    (found,) = imaging.search_image_sets(
        datastoreId=datastore_id,
        searchCriteria={
            "filters": [
                {
                    "values": [{"DICOMStudyInstanceUID": studies.volume.study}],
                    "operator": "EQUAL",
                }
            ]
        },
    )["imageSetsMetadataSummaries"]
    folder = "runs/imaging/nightly/attempt-2/0a1b2c3d4e5f"
    manifest = {
        "schema": 1,
        "format": "npy",
        "datastoreId": datastore_id,
        "requested": [{"id": found["imageSetId"]}],
        "imageSets": [
            {"imageSetId": found["imageSetId"], "arrays": [{"path": "a/1.npy"}]}
        ],
    }
    s3.put_object(
        Bucket=BUCKET,
        Key=f"{folder}/dataset/manifest.json",
        Body=json.dumps(manifest).encode(),
    )
    s3.put_object(
        Bucket=BUCKET, Key=f"{folder}/model/job-1/output/model.tar.gz", Body=b"model"
    )
    return {
        "imageSet": found["imageSetId"],
        "dataset": f"s3://{BUCKET}/{folder}/dataset/",
        "model": f"s3://{BUCKET}/{folder}/model/job-1/output/model.tar.gz",
        "day": datetime.now(UTC).date().isoformat(),
    }
