import pytest

from isocenter.devcloud.healthimaging.errors import ValidationError
from isocenter.devcloud.healthimaging.paging import page

ITEMS = [f"item-{number}" for number in range(120)]


def pages(items, size, query=None):
    token, found = None, []
    while True:
        chosen, token = page(items, str, size, token, query)
        found.append(chosen)
        if token is None:
            return found


@pytest.mark.parametrize(
    ("count", "size", "lengths"),
    [
        (0, None, [0]),
        (50, None, [50]),
        (51, None, [50, 1]),
        (120, None, [50, 50, 20]),
        (3, 1, [1, 1, 1]),
        (4, 2, [2, 2]),
    ],
)
def test_pages_hold_every_item_once(count, size, lengths):
    found = pages(ITEMS[:count], size)
    assert [len(each) for each in found] == lengths
    assert [item for each in found for item in each] == ITEMS[:count]


def test_items_added_before_a_page_do_not_repeat_others():
    chosen, token = page(ITEMS, str, 2, None)
    following, _ = page(["new", *ITEMS], str, 2, token)
    assert chosen + following == ITEMS[:4]


@pytest.mark.parametrize("token", ["x", "WzFd", "e30=", "!"])
def test_a_made_up_token_is_refused(token):
    with pytest.raises(ValidationError):
        page(ITEMS, str, 2, token)


def test_a_token_of_another_query_is_refused():
    _, token = page(ITEMS, str, 2, None, {"status": "ACTIVE"})
    with pytest.raises(ValidationError, match="another query"):
        page(ITEMS, str, 2, token, {"status": "CREATING"})
