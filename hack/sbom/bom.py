"""A CycloneDX 1.6 document of an image's packages (ECMA-424)."""

import uuid
from dataclasses import dataclass
from datetime import datetime

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License, LicenseExpression
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

from sbom.contents import Package

_VERSION = SchemaVersion.V1_6
_OURS = "isocenter-"


@dataclass(frozen=True)
class Image:
    """An image that was pushed.

    Attributes:
        name: such as ``storescp``.
        reference: registry/repository:tag.
        digest: ``sha256:…`` of its manifest.
        created: when it was built.
    """

    name: str
    reference: str
    digest: str
    created: datetime


class InvalidDocumentError(Exception):
    """The document does not match CycloneDX's schema: a fault of this program."""


def document(image: Image, packages: list[Package]) -> str:
    """The document as JSON; equal images give equal documents.

    Raises:
        InvalidDocumentError: it does not match the schema.
    """
    described = _described(image)
    bom = Bom(
        serial_number=uuid.uuid5(uuid.NAMESPACE_URL, f"{image.name}@{image.digest}"),
        metadata=BomMetaData(
            component=described,
            timestamp=image.created,
        ),
        components=[_component(package) for package in packages],
    )
    bom.register_dependency(described, bom.components)
    text = make_outputter(bom, OutputFormat.JSON, _VERSION).output_as_string(indent=1)
    problem = JsonStrictValidator(_VERSION).validate_str(text)
    if problem:
        raise InvalidDocumentError(f"{image.name}: {problem}")
    return text + "\n"


def _described(image: Image) -> Component:
    repository = image.reference.rsplit(":", 1)[0]
    return Component(
        name=f"{_OURS}{image.name}",
        version=image.digest,
        type=ComponentType.CONTAINER,
        bom_ref=f"{repository}@{image.digest}",
        purl=PackageURL(
            "oci",
            name=repository.rsplit("/", 1)[-1],
            version=image.digest,
            qualifiers={"repository_url": repository},
        ),
    )


def _component(package: Package) -> Component:
    namespace, _, name = package.name.rpartition("/")
    purl = PackageURL(
        package.kind,
        namespace=namespace or ("debian" if package.kind == "deb" else None),
        name=name,
        version=package.version,
        qualifiers=dict(package.qualifiers),
    )
    hashes = [HashType(alg=HashAlgorithm.SHA_512, content=package.sha512)]
    return Component(
        name=name,
        group=namespace or None,
        version=package.version,
        type=ComponentType.LIBRARY,
        bom_ref=purl.to_string(),
        purl=purl,
        hashes=hashes if package.sha512 else None,
        licenses=licences(package.licences),
    )


def licences(said: tuple[str, ...]) -> list[License]:
    """SPDX ids and expressions where they are; names as the package gives them else.

    CycloneDX takes one expression, or any number of names: an expression beside
    something else becomes a name.
    """
    factory = LicenseFactory()
    made = [factory.make_from_string(one) for one in said]
    if len(made) > 1:
        return [
            factory.make_with_name(one.value)
            if isinstance(one, LicenseExpression)
            else one
            for one in made
        ]
    return made
