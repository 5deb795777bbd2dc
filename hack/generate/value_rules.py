"""What values.schema.json says beside the shape of values.yaml: words and rules."""

from typing import Any

# Maps whose keys belong to someone else: AWS, Kubernetes, OHIF.
OPEN = {
    "alertLabels",
    *("affinity", "annotations", "env", "labels", "limits", "nodeSelector"),
    *("ohif", "podAnnotations", "podLabels", "requests"),
}
# What each member is that several components have, in the order they have them.
SHARED = {
    "enabled": "Whether the component is installed.",
    "image": "Image of the component.",
    "image.registry": "Instead of images.registry.",
    "image.repository": "Path in the registry.",
    "image.tag": "Instead of images.tag.",
    "image.digest": "sha256:… of the content, which wins over any tag.",
    "replicas": "Pods, where no autoscaler decides.",
    "config": "Settings of the process.",
    "service": "Service of the component.",
    "service.type": "ClusterIP, NodePort or LoadBalancer.",
    "service.port": "Port of the Service.",
    "service.annotations": "Annotations of the Service.",
    "resources": "Requests and limits of the container.",
    "resources.requests": "What the scheduler sets aside.",
    "resources.limits": "What the container may not exceed.",
    "autoscaling": "HorizontalPodAutoscaler instead of replicas.",
    "autoscaling.enabled": "Whether there is one.",
    "autoscaling.minReplicas": "Fewest pods.",
    "autoscaling.maxReplicas": "Most pods.",
    "autoscaling.cpuUtilization": "Percent of the CPU request to keep to; 0: none.",
    "autoscaling.podsMetric": "A metric of the pods; needs an adapter for these.",
    "autoscaling.podsMetric.name": "Its name; empty: none.",
    "autoscaling.podsMetric.averageValue": "Average to keep to, a quantity.",
    "autoscaling.scaleDown": "Whether pods are also taken away.",
    "podDisruptionBudget": "How many pods a drain of nodes may take at once.",
    "podDisruptionBudget.enabled": "Whether there is a PodDisruptionBudget.",
    "podDisruptionBudget.maxUnavailable": "Pods, or percent of them as text.",
    "topologySpread": "What pods are spread over evenly.",
    "topologySpread.topologyKeys": "Labels of nodes; empty: no spreading.",
    "topologySpread.whenUnsatisfiable": "ScheduleAnyway or DoNotSchedule.",
    "nodeSelector": "Labels that nodes must have.",
    "tolerations": "Taints of nodes that are put up with.",
    "affinity": "Affinity, as in a pod.",
    "priorityClassName": "PriorityClass of the pods.",
    "podAnnotations": "More annotations of the pods.",
    "podLabels": "More labels of the pods.",
    "extraEnv": "More variables: a list of {name, value or valueFrom}.",
    "serviceAccount": "ServiceAccount of the component.",
    "serviceAccount.annotations": "Its annotations; Pod Identity needs none.",
    "networkPolicy": "The component's own additions to networkPolicy.",
    "networkPolicy.from": "Peers that may use the service, as in NetworkPolicy.",
    "networkPolicy.egress": "More egress rules, as in NetworkPolicy.",
    "networkPolicy.dns": "DNS.",
    "networkPolicy.dns.ports": "Ports of DNS, over UDP and TCP.",
    "networkPolicy.apiServer.ports": "Ports of its Service and of its endpoints.",
    "networkPolicy.aws.ports": "Ports of AWS's endpoints.",
    "networkPolicy.podIdentity.ports": "Ports of the agent.",
    "networkPolicy.podIdentity.to": "Its addresses.",
    "networkPolicy.metrics.from": "Peers; none: nobody.",
    "storescp.certificate.enabled": "Whether there is a Certificate.",
    "storescp.certificate.issuerRef": "Issuer that signs.",
    "storescp.certificate.issuerRef.kind": "Issuer or ClusterIssuer.",
    "storescp.certificate.issuerRef.group": "API group of the issuer.",
    "viewer.config": "What the viewer's page is told.",
    "viewer.config.oidc.scope": "Scopes that the login asks for.",
    "ingress.enabled": "Whether there is an Ingress.",
    "ingress.alb.enabled": "Whether the Ingress is for an Application Load Balancer.",
    "ingress.alb.sslPolicy": "TLS versions and ciphers, by AWS's name.",
    "podMonitor.enabled": "Whether there is a PodMonitor.",
    "podMonitor.interval": "How often metrics are read.",
    "rules.enabled": "Whether there is a PrometheusRule.",
    "dashboards.enabled": "Whether there are ConfigMaps with dashboards.",
    "dashboards.labels": "Labels that the sidecar looks for.",
    "storescp.spool": "The spool's volume.",
}
_OR_NONE = "^$|"
_REGION = "[a-z]{2}(-[a-z]+)+-[0-9]"
_ARN = "arn:aws[a-z-]*:"
_DNS_NAME = "[a-z0-9]([-a-z0-9.]*[a-z0-9])?"
_QUANTITY = "^[0-9]+(\\.[0-9]+)?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$"
_DURATION = "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
_CIDR = {"type": "string", "pattern": "^[0-9a-f.:]+/[0-9]{1,3}$"}
_PORT = {"type": "integer", "minimum": 1, "maximum": 65535}
_MAP = {"type": "object"}
_VARIABLE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"},
        "value": {"type": "string"},
        "valueFrom": {"type": "object"},
    },
}
# Where a wrong value would be found late, by the end of its path.
RULES: dict[str, dict[str, Any]] = {
    "platform.bucket": {"pattern": f"{_OR_NONE}^[a-z0-9][.a-z0-9-]{{1,61}}[a-z0-9]$"},
    "platform.datastore_id": {"pattern": f"{_OR_NONE}^[0-9a-z]{{32}}$"},
    "platform.queue_url": {"pattern": f"{_OR_NONE}^https?://[^/]+/[0-9]{{12}}/.+$"},
    "platform.import_role_arn": {
        "pattern": f"{_OR_NONE}^{_ARN}iam::[0-9]{{12}}:role/.+$"
    },
    "aws.region": {"pattern": f"{_OR_NONE}^{_REGION}$"},
    "aws.credentialsSecret": {"pattern": f"{_OR_NONE}^{_DNS_NAME}$"},
    "images.registry": {
        "pattern": f"{_OR_NONE}^[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*/?$"
    },
    "images.tag": {"pattern": f"{_OR_NONE}^[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}$"},
    "images.pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
    "images.pullSecrets": {
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name"],
            "properties": {"name": {"type": "string"}},
        }
    },
    "image.registry": {
        "pattern": f"{_OR_NONE}^[a-zA-Z0-9.-]+(:[0-9]+)?(/[a-z0-9._-]+)*/?$"
    },
    "image.repository": {"pattern": f"{_OR_NONE}^[a-z0-9]+([._/-]+[a-z0-9]+)*$"},
    "image.tag": {"pattern": f"{_OR_NONE}^[A-Za-z0-9_][A-Za-z0-9._-]{{0,127}}$"},
    "image.digest": {"pattern": f"{_OR_NONE}^sha256:[0-9a-f]{{64}}$"},
    "replicas": {"minimum": 0},
    "service.type": {"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
    "service.port": _PORT,
    "service.nodePort": {"minimum": 0, "maximum": 65535},
    "loadBalancer.scheme": {"enum": ["internal", "internet-facing"]},
    "autoscaling.minReplicas": {"minimum": 1},
    "autoscaling.maxReplicas": {"minimum": 1},
    "autoscaling.cpuUtilization": {"minimum": 0, "maximum": 1000},
    "podsMetric.averageValue": {"pattern": "^[0-9]+(\\.[0-9]+)?(m|k|M|G)?$"},
    "podDisruptionBudget.maxUnavailable": {
        "type": ["integer", "string"],
        "minimum": 1,
        "pattern": "^[0-9]{1,3}%$",
    },
    "topologySpread.topologyKeys": {"items": {"type": "string", "minLength": 1}},
    "topologySpread.whenUnsatisfiable": {"enum": ["ScheduleAnyway", "DoNotSchedule"]},
    "tolerations": {"items": _MAP},
    "extraEnv": {"items": _VARIABLE},
    "networkPolicy.from": {"items": _MAP},
    "networkPolicy.egress": {"items": _MAP},
    "dns.ports": {"items": _PORT},
    "dns.to": {"items": _MAP},
    "apiServer.ports": {"items": _PORT},
    "apiServer.to": {"items": _MAP},
    "aws.ports": {"items": _PORT},
    "aws.to": {"items": _MAP},
    "podIdentity.ports": {"items": _PORT},
    "podIdentity.to": {"items": _MAP},
    "metrics.from": {"items": _MAP},
    "networkPolicy.loadBalancers": {"items": _CIDR},
    "storescp.sourceRanges": {"items": _CIDR},
    "storescp.tlsSecret": {"pattern": f"{_OR_NONE}^{_DNS_NAME}$"},
    "certificate.dnsNames": {"items": {"type": "string", "minLength": 1}},
    "certificate.duration": {"pattern": _DURATION, "minLength": 2},
    "certificate.renewBefore": {"pattern": _DURATION, "minLength": 2},
    "spool.size": {"pattern": _QUANTITY},
    "selfTest.importTimeoutSeconds": {"minimum": 1},
    "selfTest.runTimeoutSeconds": {"minimum": 0},
    "selfTest.clientTlsSecret": {"pattern": f"{_OR_NONE}^{_DNS_NAME}$"},
    "fetcher.scratch": {"pattern": _QUANTITY},
    "ingress.host": {"pattern": f"{_OR_NONE}^[a-z0-9-]+(\\.[a-z0-9-]+)*$"},
    "alb.scheme": {"enum": ["internal", "internet-facing"]},
    "alb.certificateArn": {
        "pattern": f"{_OR_NONE}^{_ARN}acm:{_REGION}:[0-9]{{12}}:certificate/.+$"
    },
    "alb.idleTimeout": {"minimum": 1, "maximum": 4000},
    "alb.inboundCidrs": {"items": _CIDR},
    "alb.controller": {"enum": ["eks.amazonaws.com/alb", "ingress.k8s.aws/alb"]},
    "pipeline.name": {"pattern": "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}$"},
    "pipeline.roleArn": {"pattern": f"{_OR_NONE}^{_ARN}iam::[0-9]{{12}}:role/.+$"},
    "pipeline.fetchRoleArn": {"pattern": f"{_OR_NONE}^{_ARN}iam::[0-9]{{12}}:role/.+$"},
    "pipeline.trainRoleArn": {"pattern": f"{_OR_NONE}^{_ARN}iam::[0-9]{{12}}:role/.+$"},
    "pipeline.kmsKeyArn": {
        "pattern": f"{_OR_NONE}^{_ARN}kms:{_REGION}:[0-9]{{12}}:(key|alias)/.+$"
    },
    "oidc.authority": {"pattern": f"{_OR_NONE}^https?://.+$"},
    "viewer.config.stores": {
        "items": {
            "type": "object",
            "additionalProperties": False,
            "required": ["name", "region", "datastore_id"],
            "properties": {
                # `isocenter` names the source that follows the user's choice.
                "name": {
                    "type": "string",
                    "pattern": "^[a-z0-9-]+$",
                    "not": {"const": "isocenter"},
                },
                "friendly_name": {"type": "string"},
                "region": {"type": "string", "pattern": "^[a-z0-9-]+$"},
                "datastore_id": {"type": "string", "pattern": "^[0-9a-z]{32}$"},
            },
        }
    },
    "viewer.config.proxy_urls": {
        "items": {
            "type": "string",
            "pattern": "^https?://[0-9a-z.-]+(:[0-9]+)?(/[0-9A-Za-z._~-]+)*$",
        }
    },
    "oidc.origins": {
        "items": {"type": "string", "pattern": "^https?://[0-9a-z.-]+(:[0-9]+)?$"}
    },
}
