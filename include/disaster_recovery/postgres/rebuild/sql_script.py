"""Splitting a script of plain SQL, as pg_dump writes it, into its statements.

A scanner of its own, after the server's (scan.l) and psql's (psqlscan.l): what stands in quotes, dollar quotes and
comments ends no statement, nor does a semicolon in parentheses (CREATE RULE) or in a body of SQL-standard form
(BEGIN ATOMIC … END). Strings are read as with `standard_conforming_strings`, which pg_dump always sets.
"""

import re
from dataclasses import dataclass, field

# White space is the server's: U+00A0, U+2028 and the like are letters to it.
_SPACE = r"[ \t\n\r\f\v]"
# Strings parted by white space with a line break are one, with the quoting of the first (scan.l, quotecontinue).
_NEXT = rf"[ \t\f\v]*(?:--[^\n\r]*)?[\n\r](?:{_SPACE}|--[^\n\r]*[\n\r])*'"
_ESCAPED = r"(?:[^'\\]|\\[\s\S]|'')*'"
_LETTER = r"A-Za-z_\x80-\U0010ffff"
_TOKEN = re.compile(
    rf"(?P<space>{_SPACE}+|--[^\n\r]*)"
    r"|(?P<comment>/\*)"
    rf"|(?P<quoted>[eE]'{_ESCAPED}(?:{_NEXT}{_ESCAPED})*|'[^']*(?:''[^']*)*'|\"[^\"]*(?:\"\"[^\"]*)*\")"
    rf"|(?P<dollar>\$(?:[{_LETTER}][{_LETTER}0-9]*)?\$)"
    r"|(?P<open>[eE]?'|\")"  # before words: the E of E'…' is none
    rf"|(?P<word>[{_LETTER}][{_LETTER}0-9$]*)"
    r"|(?P<other>[\s\S])"
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_ROUTINE = re.compile(r"create (or replace )?(function|procedure)\b")
_FIRST_WORDS = 4  # create or replace function


class UnterminatedText(ValueError):
    """A quote or a comment is not closed before the script ends."""


@dataclass
class _Statement:
    """The statement being read: where it starts, what it starts with, and how deep inside we are."""

    start: int = -1
    words: list[str] = field(default_factory=list)
    previous: str = ""
    parentheses: int = 0
    blocks: int = 0

    def take(self, kind: str, text: str, at: int) -> None:
        if self.start < 0:
            self.start = at
        word = text.lower() if kind == "word" else ""
        if len(self.words) < _FIRST_WORDS:
            self.words.append(word)
        if text in {"(", ")"}:
            self.parentheses = max(0, self.parentheses + (1 if text == "(" else -1))
        elif self.parentheses == 0:
            self.blocks = max(0, self.blocks + self._opened(word))
        self.previous = word

    def _opened(self, word: str) -> int:
        """1 or -1 where a body of SQL-standard form, or a CASE in it, begins or ends. Both end with END."""
        if word == "atomic":
            return int(self.previous == "begin" and _ROUTINE.match(" ".join(self.words)) is not None)
        if self.blocks == 0:
            return 0
        return {"case": 1, "end": -1}.get(word, 0)


def split(script: str) -> list[str]:
    """The statements of a script, without their semicolons and without comments before and after them.

    Raises:
        UnterminatedText: a quote or a comment is not closed.
    """
    statements, current, end, at = [], _Statement(), 0, 0
    while match := _TOKEN.match(script, at):
        kind, start, at = match.lastgroup or "", at, _end(script, match)
        if kind in {"space", "comment"}:
            continue
        if match[0] == ";" and not current.parentheses and not current.blocks:
            if current.start >= 0:
                statements.append(script[current.start : end])
            current = _Statement()
            continue
        current.take(kind, match[0], start)
        end = at
    return statements if current.start < 0 else [*statements, script[current.start : end]]


def _end(script: str, match: "re.Match[str]") -> int:
    kind, at = match.lastgroup, match.end()
    if kind == "open":
        raise UnterminatedText(f"a quote opened at character {match.start()} is not closed")
    if kind == "comment":
        return _end_of_comment(script, match.start())
    if kind == "dollar":
        close = script.find(match[0], at)
        if close < 0:
            raise UnterminatedText(f"a dollar quote opened at character {match.start()} is not closed")
        return close + len(match[0])
    return at


def _end_of_comment(script: str, start: int) -> int:
    """Comments nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(script, start):
        depth += 1 if edge[0] == "/*" else -1
        if depth == 0:
            return edge.end()
    raise UnterminatedText(f"a comment opened at character {start} is not closed")
