"""IsocenterCluster: network, cluster, and the pods' identities."""

from typing import Any

from aws_cdk import Stack
from constructs import Construct

from isocenter_infra.cluster import auto_mode_cluster, pod_identities
from isocenter_infra.data_stack import DataStack
from isocenter_infra.network import network, private_link
from isocenter_infra.output_names import CLUSTER_OUTPUTS
from isocenter_infra.outputs import write_outputs
from isocenter_infra.settings import Settings


class ClusterStack(Stack):  # type: ignore[misc]  # aws_cdk is in a venv of its own, so its classes are Any
    """Nothing in it holds data: it can go and come again."""

    def __init__(
        self,
        scope: Construct,
        name: str,
        settings: Settings,
        data: DataStack,
        **options: Any,
    ) -> None:
        super().__init__(scope, name, **options)
        where = network(self, settings, data.key_arn)
        cluster = auto_mode_cluster(self, settings, where, data.key_arn)
        private_link(self, settings, where, cluster.cluster_security_group)
        pod_identities(self, settings, cluster, data.pod_role_arns)
        write_outputs(self, CLUSTER_OUTPUTS, {"ClusterName": cluster.cluster_name})
