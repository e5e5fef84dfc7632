"""Names of operators, which no driver quotes."""

OPERATOR_CHARACTERS = frozenset("+-*/<>=~!@#%^&|`?")  # manual, 4.1.3


def operator_name(name: str) -> str:
    """The name, once it is one.

    Raises:
        ValueError: it has other characters.
    """
    if not name or set(name) - OPERATOR_CHARACTERS:
        raise ValueError(f"{name!r} is no operator")
    return name
