"""HealthImaging's calls as signed HTTP requests, by botocore's own rules.

Endpoint, host prefix, path and signing name come from botocore's client and
service model, so that AWS's variables (``AWS_ENDPOINT_URL*``,
``AWS_DISABLE_HOST_PREFIX_INJECTION``, FIPS, profiles, roles) mean what they mean
for every SDK; only the bytes are moved by aiohttp, because botocore's own
transport would cost a thread a call.

The SDK does not know HealthImaging's DICOMweb service. It is signed under the same
name; its host is the SDK's with ``dicom-`` before it, where the host prefix of an
operation would be, and so it obeys the same variables.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError

from isocenter.core import aws
from isocenter.core.errors import ConfigurationError
from isocenter.core.run_request import ID_PATTERN
from isocenter.tlm_proxy.errors import BadRequestError
from isocenter.tlm_proxy.upstream.credentials import Credentials

DICOMWEB_PREFIX = "dicom-"

Query = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class SignedRequest:
    """What is to be sent: HTTP method, absolute URL, headers and body.

    The URL is signed as it is written: it must not be normalised on the way.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Signer:
    """Makes signed requests to HealthImaging in one region.

    Args:
        client: a boto3 client of medical-imaging: the region and its endpoint.
        credentials: to sign with.
    """

    def __init__(self, client: Any, credentials: Credentials) -> None:
        self._model = client.meta.service_model
        self._prefixes: bool = client.meta.config.inject_host_prefix
        self._endpoint = str(client.meta.endpoint_url)
        self.region = str(client.meta.region_name)
        self._credentials = credentials
        self._user_agent = _user_agent(client.meta.config)
        self._dicomweb = self._base(DICOMWEB_PREFIX)
        # By operation: method, URL as a template, and what its members are called
        # in the query.
        self._operations: dict[str, tuple[str, str, dict[str, str]]] = {}

    async def ready(self) -> None:
        """Have credentials to sign with.

        Raises:
            CredentialsError: there are none.
        """
        await self._credentials.frozen()

    async def operation(
        self,
        name: str,
        path: Mapping[str, str],
        query: Mapping[str, str | int | None] | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> SignedRequest:
        """An operation of botocore's model (rest-json), signed now.

        Args:
            name: such as "GetImageFrame".
            path: its members that stand in the path.
            query: its members that stand in the query; None is left out.
            body: the JSON body: the member that the model calls its payload, not
                an object around it; none if None.

        Raises:
            CredentialsError: there are no credentials to sign with.
        """
        method, template, names = self._operation(name)
        url = template.format_map({k: quote(v, safe="") for k, v in path.items()})
        pairs = [(names[k], str(v)) for k, v in (query or {}).items() if v is not None]
        content = b"" if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if content else {}
        return await self._sign(method, url + _query(pairs), headers, content)

    async def dicomweb(
        self, datastore_id: str, path: str, query: Query, accept: str
    ) -> SignedRequest:
        """A GET of HealthImaging's DICOMweb service, signed now.

        Args:
            datastore_id: the data store.
            path: below it, such as "studies/1.2.3/series".
            query: names and values, not encoded yet.
            accept: the Accept header.

        Raises:
            BadRequestError: the path leads out of the data store.
            CredentialsError: there are no credentials to sign with.
        """
        below = path.removeprefix("/")
        if not re.fullmatch(ID_PATTERN, datastore_id) or (
            {"", ".", ".."} & set(below.split("/"))
        ):
            # Such a path would be signed, and read, as another one.
            raise BadRequestError("the path is not one of a data store's DICOMweb")
        url = f"{self._dicomweb}/datastore/{datastore_id}/{quote(below, safe='/~')}"
        return await self._sign("GET", url + _query(query), {"Accept": accept}, b"")

    def _operation(self, name: str) -> tuple[str, str, dict[str, str]]:
        if name not in self._operations:
            model = self._model.operation_model(name)
            base = self._base((model.endpoint or {}).get("hostPrefix", ""))
            names = {
                member: str(shape.serialization["name"])
                for member, shape in model.input_shape.members.items()
                if shape.serialization.get("location") == "querystring"
            }
            self._operations[name] = (
                str(model.http["method"]),
                base + str(model.http["requestUri"]),
                names,
            )
        return self._operations[name]

    def _base(self, prefix: str) -> str:
        scheme, host, path, _, _ = urlsplit(self._endpoint)
        host = prefix + host if self._prefixes else host
        return urlunsplit((scheme, host, path.rstrip("/"), "", ""))

    async def _sign(
        self, method: str, url: str, headers: dict[str, str], body: bytes
    ) -> SignedRequest:
        request = AWSRequest(method=method, url=url, data=body, headers=headers)
        credentials = await self._credentials.frozen()
        SigV4Auth(credentials, self._model.signing_name, self.region).add_auth(request)
        signed = {**dict(request.headers.items()), "User-Agent": self._user_agent}
        return SignedRequest(method, url, signed, body)


def connect(regions: Sequence[str]) -> tuple[str, dict[str, Signer]]:
    """Signers by region, from AWS's own variables and files.

    Args:
        regions: those to serve; the process's own if empty.

    Returns:
        The process's own region (the first of ``regions``, if AWS's variables name
        none), and the signers.

    Raises:
        ConfigurationError: no region is set, or AWS's own settings can't be read.
    """
    try:
        session = boto3.Session()
        own = session.region_name or (regions[0] if regions else None)
        clients = [
            aws.client("medical-imaging", region=region)
            for region in (regions or (own,))
        ]
    except BotoCoreError as error:
        raise ConfigurationError(f"AWS's settings can't be used: {error}") from error
    credentials = Credentials(session)
    signers = {
        signer.region: signer
        for signer in (Signer(client, credentials) for client in clients)
    }
    return own or next(iter(signers)), signers


def _user_agent(config: Any) -> str:
    """The SDK's, with ``AWS_SDK_UA_APP_ID`` where the SDK has it, for CloudTrail."""
    agent = str(config.user_agent)
    return (
        f"{agent} app/{config.user_agent_appid}" if config.user_agent_appid else agent
    )


def _query(pairs: Query) -> str:
    """The query as SigV4 wants it: encoded by RFC 3986, each name with its "="."""
    if not pairs:
        return ""
    return "?" + "&".join(
        f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}"
        for name, value in pairs
    )
