"""What is remembered of manifests that were read."""

from isocenter.storescp.commitment.named import Named, hashes_of


def test_what_was_not_read_lacks_nothing():
    named = Named()
    assert not named.lacks("b1", hashes_of(["1.2.3"]))
    named.add("b1", ["1.2.3", "1.2.4"])
    assert not named.lacks("b1", hashes_of(["1.2.3", "1.2.9"]))
    assert named.lacks("b1", hashes_of(["1.2.9"]))


def test_an_empty_manifest_names_nothing():
    named = Named()
    named.add("b1", [])
    assert named.lacks("b1", hashes_of(["1.2.3"]))


def test_the_oldest_are_forgotten_beyond_the_bytes():
    named = Named(max_bytes=2_000)
    for batch in ("b2", "b4", "b3", "b1", "b5", "b5"):
        named.add(batch, [f"1.{batch}.{n}" for n in range(10)])
        assert named.bytes <= 2_000
    kept = [b for b in ("b1", "b2", "b3", "b4", "b5") if named.lacks(b, frozenset({0}))]
    assert kept == ["b2", "b3", "b4", "b5"]


def test_one_that_is_too_large_is_not_kept():
    named = Named(max_bytes=500)
    named.add("b1", [f"1.{n}" for n in range(1000)])
    assert named.bytes == 0
    assert not named.lacks("b1", hashes_of(["9"]))
