"""What is wrong with a document, in words that quote none of its values. Pure."""

from pydantic import ValidationError

_MOST = 5


def faults(error: ValidationError) -> str:
    """``member: what is wrong with it``, of the first few members.

    Raise what holds it ``from None``: the error's own text quotes the values.
    """
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'document'}: {fault['msg']}"
        for fault in error.errors(include_input=False)[:_MOST]
    )
