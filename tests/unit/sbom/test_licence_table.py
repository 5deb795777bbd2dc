from sbom.contents import Package
from sbom.licence_table import table

ONE = Package("pypi", "one", "1", ("MIT",))
TWO = Package("deb", "two", "1:2", (), (("arch", "amd64"),))


def test_each_package_is_one_line_with_its_images():
    rows = table({"viewer": [TWO], "fetcher": [ONE, TWO]}).splitlines()[-2:]
    assert rows == [
        "| deb: two | 1:2 | not stated | all |",
        "| pypi: one | 1 | MIT | fetcher |",
    ]


def test_no_cell_ends_early():
    odd = Package("pypi", "odd", "1", ("a|b",))
    assert table({"x": [odd]}).splitlines()[-1].count("|") == 5
