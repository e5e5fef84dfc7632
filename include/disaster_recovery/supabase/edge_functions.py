"""The edge functions of a `supabase/` folder: their names, descriptions and settings, not their code."""

import json
import re
import sys
from pathlib import Path
from typing import Any

from include.disaster_recovery.errors import DescriptionFailed

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENTRY_POINTS = ("index.ts", "index.tsx", "index.js", "index.mjs")
VERIFY_JWT_DEFAULT = True  # Supabase CLI reference, [functions.<name>] verify_jwt
_BLOCK = re.compile(r"\A\s*/\*+(.*?)\*/", re.DOTALL)
_LINES = re.compile(r"\A\s*((?://[^\n]*\n?)+)")
# Not written for people: `/// <reference …/>`, `// deno-lint-ignore-file`, `// @ts-nocheck` and the like.
_DIRECTIVES = re.compile(r"\A(?:\s*///?\s*(?:<|@ts-|deno-|eslint|prettier|biome)[^\n]*(?:\n|\Z))+")


def describe_edge_functions(folder: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Describe every function of `config.toml` and `functions/*`.

    Returns:
        `{name: {"description", "verify_jwt", …settings of config.toml}}`, and warnings.

    Raises:
        DescriptionFailed: `config.toml` is malformed (with its line), or a file cannot be read.
    """
    if not folder.is_dir():
        return {}, [f"supabase folder {folder.name!r} is missing: edge functions are not described"]
    configured = _config(folder / "config.toml")
    sources = _sources(folder / "functions")
    warnings = [f"edge function {name} is configured but has no source" for name in configured if name not in sources]
    names = sorted({*configured, *sources})
    return {name: _describe(configured.get(name, {}), sources.get(name)) for name in names}, warnings


def _config(file: Path) -> dict[str, dict[str, Any]]:
    content = _read(file) if file.exists() else b""
    try:
        functions = tomllib.loads(content.decode("utf-8")).get("functions", {})
    except UnicodeDecodeError as error:
        raise _malformed(file, f"not UTF-8 (at line {content.count(10, 0, error.start) + 1})") from None
    except tomllib.TOMLDecodeError as error:
        raise _malformed(file, str(error)) from None
    if not isinstance(functions, dict) or not all(isinstance(each, dict) for each in functions.values()):
        raise _malformed(file, "functions must be tables, as [functions.name]")
    # dates are the one type of TOML that JSON lacks
    return {name: json.loads(json.dumps(settings, default=str)) for name, settings in functions.items()}


def _malformed(file: Path, what: str) -> DescriptionFailed:
    return DescriptionFailed(
        f"{file.name} is malformed: {what}", hint="mend the line named; `supabase functions list` reads it too"
    )


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DescriptionFailed(
            f"{file} cannot be read: {error.strerror}", hint="give the worker's user access to the supabase folder"
        ) from None


def _sources(folder: Path) -> dict[str, str]:
    """Leading part of each entry point; folders beginning with `_` are shared code (Supabase guide)."""
    found = {}
    for each in sorted(folder.iterdir()) if folder.is_dir() else ():
        entry = next((each / name for name in ENTRY_POINTS if (each / name).is_file()), None)
        if entry and not each.name.startswith(("_", ".")):
            found[each.name] = _read(entry).decode("utf-8", errors="replace")[:8192]
    return found


def _describe(settings: dict[str, Any], source: str | None) -> dict[str, Any]:
    described = {"description": settings.get("description") or _leading_comment(source or "")}
    return {**described, "verify_jwt": VERIFY_JWT_DEFAULT, **{k: v for k, v in settings.items() if k != "description"}}


def _leading_comment(source: str) -> str | None:
    """The comment a file begins with, as one line of text."""
    source = _DIRECTIVES.sub("", source.removeprefix("\ufeff"))
    if match := _BLOCK.match(source):
        lines = [line.strip().lstrip("*").strip() for line in match[1].splitlines()]
    elif match := _LINES.match(source):
        lines = [line.strip().lstrip("/").strip() for line in match[1].splitlines()]
    else:
        return None
    return " ".join(line for line in lines if line) or None
