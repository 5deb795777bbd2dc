"""`python -m demo run|down`; the Makefile sets what it needs."""

import argparse
import json
import sys
from typing import Any

from demo import watch
from demo.install import install, uninstall
from demo.local_aws import read
from demo.place import (
    NAMESPACE,
    PROXY_NODE_PORT,
    VIEWER_NODE_PORT,
    local_cluster,
)
from demo.send import another, send, study
from demo.shell import DemoError, kubectl, say


def run() -> None:
    """Install, send, wait, report."""
    install()
    known = watch.names("dicomimportjobs")
    files = another(study()) if known else study()
    say(f"sending {len(files)} CT slices by DICOM TLS to S3SCP, port 11113")
    send(files)
    say("every slice was acknowledged")
    job = watch.import_job(known)
    runs = watch.training_runs(job)
    report(runs)
    failed = [r for r in runs if r["status"]["phase"] != "Succeeded"]
    if failed:
        raise DemoError(
            "; ".join(
                f"{r['metadata']['name']}: {r['status'].get('message')}" for r in failed
            )
        )


def report(runs: list[dict[str, Any]]) -> None:
    """What there is now, and where."""
    print()
    print(kubectl("-n", NAMESPACE, "get", "dicomimportjobs,trainingruns"))
    for each in runs:
        status = each["status"]
        for metric in status.get("metrics", []):
            print(f"metric   {metric['name']} = {metric['value']}")
        if status["phase"] != "Succeeded":
            continue
        print(f"model    {status['modelS3Uri']}")
        print(f"dataset  {status['datasetS3Uri']}")
        manifest = json.loads(read(f"{status['datasetS3Uri']}/manifest.json"))
        for entry in manifest["imageSets"]:
            for array in entry["arrays"]:
                shape = "x".join(str(length) for length in array["shape"])
                verified = [frame.get("verified") for frame in array["frames"]]
                print(
                    f"         {array['path']}: {array['dtype']} {shape}, CRC32 of"
                    f" {verified.count(True)} of {len(verified)} frames verified"
                )
        print(f"frames   {proxy_url(manifest)}")
    print(f"viewer   http://localhost:{VIEWER_NODE_PORT}/")
    if not local_cluster():
        print(
            f"         after: kubectl -n {NAMESPACE} port-forward"
            f" service/isocenter-tlm-proxy {PROXY_NODE_PORT}:80"
        )
        print(
            f"         and: kubectl -n {NAMESPACE} port-forward"
            f" service/isocenter-viewer {VIEWER_NODE_PORT}:80"
        )


def proxy_url(manifest: dict[str, Any]) -> str:
    """The tile proxy's address of the first frame's smallest levels."""
    entry = manifest["imageSets"][0]
    frame = entry["arrays"][0]["frames"][0]["frameId"]
    return (
        f"http://localhost:{PROXY_NODE_PORT}/datastore/{manifest['datastoreId']}"
        f"/imageSet/{entry['imageSetId']}/imageFrame/{frame}?startLevel=0&endLevel=2"
    )


def main() -> int:
    """Exit code 0, or 1 with the reason on stderr."""
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("what", choices=["run", "down"])
    arguments = parser.parse_args()
    try:
        if arguments.what == "run":
            run()
        else:
            uninstall()
    except DemoError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
