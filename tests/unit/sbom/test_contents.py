import base64
import io

import pytest
from sbom.contents import ContentsError, packages

SITE = "opt/isocenter/lib/python3.11/site-packages"


def metadata(*lines):
    return "\n".join(
        ["Metadata-Version: 2.4", "Name: Some.Dist", "Version: 1.2", *lines]
    )


def of_kind(found, kind):
    return [package for package in found if package.kind == kind]


def test_installed_debian_packages_and_no_others(archive):
    (package,) = packages(archive())
    assert (package.kind, package.name) == ("deb", "nginx")
    assert package.version == "1.22.1-9+deb12u2"
    assert package.licences == ()
    assert dict(package.qualifiers) == {"arch": "amd64", "distro": "debian-12"}


def test_debian_licences_come_from_the_machine_readable_copyright(archive):
    text = (
        "Files: *\nLicense: BSD-2-clause\n text\n\nFiles: a\nLicense: BSD-2-clause\n\n"
    )
    text += "Files: b\nLicense: GPL-2+\n"
    (package,) = packages(archive({"usr/share/doc/nginx/copyright": text}))
    assert package.licences == ("BSD-2-clause", "GPL-2+")


def test_other_copyright_files_name_the_texts_that_apply(archive):
    text = "It is free: see `/usr/share/common-licenses/GPL-3'.\nParts:\n"
    text += "/usr/share/common-licenses/LGPL-2.1.\n"
    (package,) = packages(archive({"usr/share/doc/nginx/copyright": text}))
    assert package.licences == ("GPL-3", "LGPL-2.1")


def test_the_documentation_may_be_that_of_another_package(archive):
    (package,) = packages(
        archive(
            {"usr/share/doc/nginx-common/copyright": "License: BSD-2-clause\n"},
            links={"usr/share/doc/nginx": "nginx-common"},
        )
    )
    assert package.licences == ("BSD-2-clause",)


@pytest.mark.parametrize(
    ("said", "licences"),
    [
        (
            ["License-Expression: MIT OR Apache-2.0", "License: x"],
            ("MIT OR Apache-2.0",),
        ),
        (
            [
                "Classifier: License :: OSI Approved :: BSD License",
                "Classifier: Programming Language :: Python",
                "License: whole text",
            ],
            ("BSD License",),
        ),
        (["Classifier: License :: OSI Approved", "License: MIT"], ()),
        (["License: Apache 2.0\n        more text"], ("Apache 2.0",)),
        (["License: " + "x" * 100], ("x" * 80,)),
        ([], ()),
    ],
)
def test_python_licences(archive, said, licences):
    name = f"{SITE}/some_dist-1.2.dist-info/METADATA"
    found = packages(archive({name: metadata(*said)}))
    (package,) = of_kind(found, "pypi")
    assert (package.name, package.version) == ("Some.Dist", "1.2")
    assert package.licences == licences


def test_the_description_is_not_read_as_headers(archive):
    text = metadata("License-Expression: MIT", "", "License-Expression: GPL-3.0-only")
    found = packages(archive({f"{SITE}/d-1.dist-info/METADATA": text}))
    assert of_kind(found, "pypi")[0].licences == ("MIT",)


def test_the_npm_package_that_the_viewer_serves(archive):
    digest = base64.b64encode(b"\x01" * 64).decode()
    text = f"# words\nOHIF_VERSION=3.13.2\nOHIF_INTEGRITY=sha512-{digest}\n"
    (package,) = of_kind(packages(archive({"opt/isocenter/ohif.env": text})), "npm")
    assert (package.name, package.version) == ("@ohif/app", "3.13.2")
    assert package.sha512 == "01" * 64


def test_paths_with_a_leading_dot_are_the_same(archive):
    stream = archive(
        {},
        base={
            "./var/lib/dpkg/status": "Package: a\nStatus: x ok installed\nVersion: 1\n"
        },
    )
    assert [package.name for package in packages(stream)] == ["a"]


def test_another_archive_is_refused(archive):
    with pytest.raises(ContentsError, match="not an image on Debian"):
        packages(archive({"etc/alpine-release": "3"}, base={}))
    with pytest.raises(ContentsError, match="not a tar archive"):
        packages(io.BytesIO(b"no tar" * 200))


def test_ohif_without_its_version_is_refused(archive):
    with pytest.raises(ContentsError, match=r"no /opt/isocenter/ohif\.env says which"):
        packages(archive({"srv/viewer/ohif-license.txt": "MIT"}))
