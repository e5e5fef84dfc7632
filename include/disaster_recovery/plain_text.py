"""Other people's text, made fit for a log, a header or a page. Pure."""


def printable(text: str) -> str:
    """The text with a space for each line break and other control character."""
    return "".join(each if each.isprintable() else " " for each in text)


def one_line(text: str) -> str:
    """The words of a text on one line: it may end in a mail's header."""
    return " ".join(printable(text).split())


def cut(text: str, longest: int) -> str:
    """At most so many characters; an ellipsis stands for what is missing."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
