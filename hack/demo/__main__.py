"""`python -m demo run|down`; the Makefile sets what it needs."""

import argparse
import sys

from demo import watch
from demo.install import install, uninstall
from demo.place import NAMESPACE, PROXY_NODE_PORT, local_cluster
from demo.send import send, study
from demo.shell import DemoError, kubectl, say


def run() -> None:
    """Install, send, wait, report."""
    install()
    known = watch.names("dicomimportjobs")
    files = study()
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


def report(runs: list[dict]) -> None:  # type: ignore[type-arg] - JSON as kubectl gives it
    """What there is now, and where."""
    print()
    print(kubectl("-n", NAMESPACE, "get", "dicomimportjobs,trainingruns"))
    for each in runs:
        status = each["status"]
        for metric in status.get("metrics", []):
            print(f"metric   {metric['name']} = {metric['value']}")
        print(f"dataset  {status.get('datasetS3Uri')}")
        print(f"model    {status.get('modelS3Uri')}")
        image_set = each["spec"]["imageSets"][0]["id"]
        path = f"/datastore/{each['spec']['datastoreId']}/imageSet/{image_set}"
        if local_cluster():
            base = f"http://localhost:{PROXY_NODE_PORT}"
        else:
            base = "http://localhost:8080"
            print(
                f"proxy    kubectl -n {NAMESPACE} port-forward"
                " service/isocenter-tlm-proxy 8080:80"
            )
        print(f"proxy    {base}{path}/imageFrame/<frame id>?startLevel=0&endLevel=2")


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
