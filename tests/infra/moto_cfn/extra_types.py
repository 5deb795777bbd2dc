"""Types that moto has as services: made by moto's own backends, or by AWS's rules."""

import json
import uuid

from infra.moto_cfn.declared import Declared
from moto.cognitoidp.models import cognitoidp_backends
from moto.core.common_models import CloudFormationModel
from moto.eks.models import eks_backends
from moto.s3.models import s3_backends
from moto.sagemaker.models import sagemaker_backends
from moto.sqs.models import sqs_backends


class Datastore(Declared, CloudFormationModel):
    """moto has no HealthImaging: an id and an ARN as the service gives them."""

    TYPE = "AWS::HealthImaging::Datastore"
    ATTRIBUTES = ("DatastoreArn", "DatastoreId", "DatastoreStatus")

    @classmethod
    def create(cls, name, properties, account_id, region):
        made = uuid.uuid4().hex
        service = f"arn:aws:medical-imaging:{region}:{account_id}"
        return made, {
            "DatastoreArn": f"{service}:datastore/{made}",
            "DatastoreId": made,
            "DatastoreStatus": "ACTIVE",
        }


class UserPool(Declared, CloudFormationModel):
    TYPE = "AWS::Cognito::UserPool"
    ATTRIBUTES = ("Arn", "ProviderName", "ProviderURL", "UserPoolId")

    @classmethod
    def create(cls, name, properties, account_id, region):
        known = ("Policies", "MfaConfiguration", "UsernameAttributes")
        pool = cognitoidp_backends[account_id][region].create_user_pool(
            properties.get("UserPoolName", name),
            {key: value for key, value in properties.items() if key in known},
        )
        host = f"cognito-idp.{region}.amazonaws.com/{pool.id}"
        return pool.id, {
            "Arn": pool.arn,
            "ProviderName": host,
            "ProviderURL": f"https://{host}",
            "UserPoolId": pool.id,
        }


class UserPoolClient(Declared, CloudFormationModel):
    TYPE = "AWS::Cognito::UserPoolClient"
    ATTRIBUTES = ("ClientId", "Name")

    @classmethod
    def create(cls, name, properties, account_id, region):
        values = {k: v for k, v in properties.items() if k != "UserPoolId"}
        values["ClientName"] = properties.get("ClientName", name)
        client = cognitoidp_backends[account_id][region].create_user_pool_client(
            properties["UserPoolId"], properties.get("GenerateSecret", False), values
        )
        return client.id, {"ClientId": client.id, "Name": values["ClientName"]}


class UserPoolDomain(Declared, CloudFormationModel):
    TYPE = "AWS::Cognito::UserPoolDomain"
    ATTRIBUTES = ("CloudFrontDistribution",)

    @classmethod
    def create(cls, name, properties, account_id, region):
        cognitoidp_backends[account_id][region].create_user_pool_domain(
            properties["UserPoolId"], properties["Domain"]
        )
        return properties["Domain"], {"CloudFrontDistribution": ""}


class Pipeline(Declared, CloudFormationModel):
    TYPE = "AWS::SageMaker::Pipeline"

    @classmethod
    def create(cls, name, properties, account_id, region):
        body = properties["PipelineDefinition"]["PipelineDefinitionBody"]
        json.loads(body)  # AWS refuses another; moto takes it
        sagemaker_backends[account_id][region].create_pipeline(
            pipeline_name=properties["PipelineName"],
            pipeline_display_name=None,
            pipeline_definition=body,
            pipeline_definition_s3_location=None,
            pipeline_description=None,
            role_arn=properties["RoleArn"],
            tags=[],
            parallelism_configuration=None,
        )
        return properties["PipelineName"], {}


class QueuePolicy(Declared, CloudFormationModel):
    TYPE = "AWS::SQS::QueuePolicy"
    ATTRIBUTES = ("Id",)

    @classmethod
    def create(cls, name, properties, account_id, region):
        for url in properties["Queues"]:
            queue = sqs_backends[account_id][region].get_queue(url.rsplit("/", 1)[-1])
            policy = json.dumps(properties["PolicyDocument"])
            queue._set_attributes({"Policy": policy})
        return name, {"Id": name}


class BucketPolicy(Declared, CloudFormationModel):
    TYPE = "AWS::S3::BucketPolicy"

    @classmethod
    def create(cls, name, properties, account_id, region):
        s3_backends[account_id]["aws"].put_bucket_policy(
            properties["Bucket"], json.dumps(properties["PolicyDocument"]).encode()
        )
        return name, {}


class Cluster(Declared, CloudFormationModel):
    TYPE = "AWS::EKS::Cluster"
    ATTRIBUTES = (
        *("Arn", "CertificateAuthorityData", "ClusterSecurityGroupId"),
        *("EncryptionConfigKeyArn", "Endpoint", "Id", "OpenIdConnectIssuerUrl"),
    )

    @classmethod
    def create(cls, name, properties, account_id, region):
        vpc = properties["ResourcesVpcConfig"]
        cluster = eks_backends[account_id][region].create_cluster(
            name=properties.get("Name", name),
            role_arn=properties["RoleArn"],
            resources_vpc_config={
                "subnetIds": vpc["SubnetIds"],
                "securityGroupIds": vpc.get("SecurityGroupIds", []),
            },
            version=properties.get("Version"),
        )
        return cluster.name, {
            "Arn": cluster.arn,
            "CertificateAuthorityData": "",
            "ClusterSecurityGroupId": "sg-0",
            "EncryptionConfigKeyArn": "",
            "Endpoint": cluster.endpoint,
            "Id": cluster.name,
            "OpenIdConnectIssuerUrl": f"https://oidc.eks.{region}.amazonaws.com/id/0",
        }
