"""Values that do not fit together are refused by name, with what to change."""

import pytest
from support.rendering import CHART, HelmError, render

AWS = CHART / "ci" / "aws.yaml"
EVERYTHING = CHART / "ci" / "everything.yaml"
OPEN_DICOM = (
    "storescp.service.type=LoadBalancer",
    "storescp.service.loadBalancer.scheme=internet-facing",
)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (
            ("aws.region=us-east-1",),
            "platform.queue_url is in eu-west-1 and aws.region",
        ),
        (
            ("storescp.config.scp_port=8081",),
            "scp_port and health_port must differ",
        ),
        (("storescp.service.port=104", "storescp.config.scp_port=104"), "change one"),
        (("storescp.config.tls_ca_file=/ca.crt",), "must be in /etc/isocenter/tls"),
        (("storescp.certificate.enabled=true",), "issuerRef.name is required"),
        (("storescp.certificate.enabled=true",), "dnsNames is required"),
        (OPEN_DICOM, "storescp.sourceRanges is required"),
        (OPEN_DICOM, "storescp.config.tls_ca_file is required"),
        ((*OPEN_DICOM, "storescp.config.scp_port=104"), "DICOM without TLS"),
        (("storescp.spool.size=1Gi",), "every instance would be refused"),
        (
            ("storescp.config.spool_max_bytes=10737418240",),
            "less than storescp.config.spool_max_bytes",
        ),
        (
            ("storescp.config.plain_port=104", "storescp.config.scp_port=105"),
            "storescp.config.plain_port is called scp_port now",
        ),
        (("storescp.config.plain_port=8081",), "must differ"),
        (
            ("storescp.config.allowed_peers[0].certificateSubject=CN=ct1",),
            "tls_ca_file is required: allowed_peers has a certificateSubject for CT1",
        ),
        (("storescp.config.spool_min_free_bytes=10737418240",), "would be refused"),
        (
            ("tlmProxy.config.cognito_client_id=null", "viewer.enabled=false"),
            "tlmProxy.config.cognito_client_id is required",
        ),
        (("tlmProxy.config.auth_mode=oidc",), "oidc_issuer is required"),
        (
            ("tlmProxy.config.health_port=8080",),
            "tlmProxy.config: port and health_port",
        ),
        (("fetcher.config.health_port=8080",), "http_port and health_port must differ"),
        (
            (
                "ingress.enabled=true",
                "ingress.host=imaging.example.org",
                "ingress.alb.enabled=true",
            ),
            "ingress.alb.certificateArn is required",
        ),
        (
            ("viewer.autoscaling.enabled=true", "viewer.autoscaling.minReplicas=9"),
            "viewer.autoscaling: minReplicas is over maxReplicas",
        ),
        (
            (
                "tlmProxy.autoscaling.enabled=true",
                "tlmProxy.autoscaling.cpuUtilization=0",
            ),
            "tlmProxy.autoscaling needs cpuUtilization or podsMetric.name",
        ),
        (
            (
                "tlmProxy.autoscaling.enabled=true",
                "tlmProxy.resources.requests.cpu=null",
            ),
            "resources.requests.cpu, which is not set",
        ),
        (("aws.env.AWS_REGION=eu-west-2",), "aws.env.AWS_REGION is set by the chart"),
        (
            ("storescp.extraEnv[0].name=STORESCP_BUCKET",),
            "storescp.extraEnv: STORESCP_BUCKET is set by the chart",
        ),
    ],
)
def test_what_does_not_fit_is_named(minimal, sets, said):
    with pytest.raises(HelmError, match=said):
        render(minimal, sets=sets)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        (("ingress.tlsSecret=x",), "ingress.tlsSecret is not read by"),
        (("tlmProxy.config.auth_mode=none",), "auth_mode none lets everybody read"),
        (("viewer.enabled=false", "tlmProxy.enabled=false"), "ingress.enabled needs"),
    ],
)
def test_what_does_not_fit_on_aws_is_named(sets, said):
    with pytest.raises(HelmError, match=said):
        render(AWS, sets=sets)


def test_all_problems_are_said_at_once(minimal):
    with pytest.raises(HelmError) as refused:
        render(minimal, sets=("aws.region=us-east-1", "storescp.spool.size=500Mi"))
    assert "aws.region" in str(refused.value)
    assert "storescp.spool.size 500Mi" in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ("platform.datastore_id=short", "datastore_id"),
        ("platform.queue_url=isocenter-events", "queue_url"),
        ("platform.import_role_arn=isocenter-import", "import_role_arn"),
        ("aws.region=Frankfurt", "region"),
        ("images.pullPolicy=Sometimes", "pullPolicy"),
        ("images.registry=https://registry.example", "registry"),
        ("storescp.image.digest=0123", "digest"),
        ("storescp.image.tag=a:b", "tag"),
        ("storescp.sourceRanges[0]=10.0.0.0", "sourceRanges"),
        ("storescp.spool.size=lots", "size"),
        ("storescp.extraEnv[0].valeu=x", "valeu"),
        ("storescp.service.loadBalancer.scheme=public", "scheme"),
        ("storescp.podDisruptionBudget.maxUnavailable=half", "maxUnavailable"),
        ("tlmProxy.topologySpread.whenUnsatisfiable=Maybe", "whenUnsatisfiable"),
        ("networkPolicy.aws.ports[0]=https", "ports"),
        ("ingress.host=https://imaging.example.org", "host"),
        ("ingress.alb.certificateArn=mine", "certificateArn"),
        ("pipeline.name=with_underscore", "name"),
    ],
)
def test_what_would_be_found_late_is_found_by_the_schema(minimal, setting, named):
    with pytest.raises(HelmError, match=f"(?s)specifications of the schema.*{named}"):
        render(minimal, sets=(setting,))
