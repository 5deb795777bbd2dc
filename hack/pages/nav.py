"""mkdocs hook: patterns such as ``folder/*.md`` in the navigation.

mkdocs wants every page named; generated pages and decision records come and go. A
pattern stands for the pages it matches that are named nowhere else.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def entries(nav: Any) -> Iterator[str]:
    """The pages and patterns of a navigation, in order."""
    if isinstance(nav, str):
        yield nav
    elif isinstance(nav, dict):
        for inner in nav.values():
            yield from entries(inner)
    else:
        for inner in nav:
            yield from entries(inner)


def expand(nav: Any, docs: Path, named: frozenset[str]) -> Any:
    """A navigation without patterns.

    Args:
        nav: as in mkdocs.yml: lists, dicts of one title, paths.
        docs: the folder that paths are relative to.
        named: the pages that stand in the navigation themselves.
    """
    if isinstance(nav, dict):
        return {title: expand(inner, docs, named) for title, inner in nav.items()}
    if not isinstance(nav, list):
        return nav
    made: list[Any] = []
    for each in nav:
        if isinstance(each, str) and "*" in each:
            found = {path.relative_to(docs).as_posix() for path in docs.glob(each)}
            made += sorted(found - named)
        else:
            made.append(expand(each, docs, named))
    return made


def on_config(config: Any) -> Any:
    """Called by mkdocs when its configuration has been read."""
    named = frozenset(entries(config["nav"]))
    config["nav"] = expand(config["nav"], Path(config["docs_dir"]), named)
    return config
