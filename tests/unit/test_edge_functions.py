import json
from pathlib import Path
from typing import Any

import pytest

from include.disaster_recovery.errors import DescriptionFailed
from include.disaster_recovery.settings import Settings
from include.disaster_recovery.supabase.edge_functions import describe_edge_functions


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "functions").mkdir()
    return tmp_path


def write(folder: Path, name: str, source: str, *, entry: str = "index.ts") -> None:
    (folder / "functions" / name).mkdir()
    (folder / "functions" / name / entry).write_text(source, encoding="utf-8")


def described(folder: Path) -> dict[str, dict[str, Any]]:
    functions, warnings = describe_edge_functions(folder)
    assert warnings == []
    return functions


def test_the_sample_of_the_platform_is_described():
    functions = described(Settings().supabase_folder())
    assert functions == {
        "create-checkout": {
            "description": "Opens a checkout session for a booking.",
            "verify_jwt": True,
            "import_map": "./functions/create-checkout/import_map.json",
        },
        "database-backup": {
            "description": "The edge function this package replaces: it loses every row past the 1000th.",
            "verify_jwt": False,
        },
        "send-notification": {
            "description": "Sends an e-mail for each new notification to users who asked for it.",
            "verify_jwt": True,
        },
    }


def test_a_missing_folder_is_a_warning(tmp_path: Path):
    assert describe_edge_functions(tmp_path / "supabase") == (
        {},
        ["supabase folder 'supabase' is missing: edge functions are not described"],
    )


def test_an_empty_folder_has_no_functions(tmp_path: Path):
    assert describe_edge_functions(tmp_path) == ({}, [])


def test_without_a_config_a_function_verifies_its_jwt(folder: Path):
    write(folder, "hello", "Deno.serve()")
    assert described(folder) == {"hello": {"description": None, "verify_jwt": True}}


@pytest.mark.parametrize("entry", ["index.ts", "index.tsx", "index.js", "index.mjs"])
def test_every_entry_point_of_supabase_is_known(folder: Path, entry: str):
    write(folder, "hello", "// Says hello.\n", entry=entry)
    assert described(folder)["hello"]["description"] == "Says hello."


def test_shared_and_hidden_folders_and_loose_files_are_no_functions(folder: Path):
    write(folder, "_shared", "// helpers")
    write(folder, ".cache", "// nothing")
    write(folder, "docs", "# no entry point", entry="README.md")
    (folder / "functions" / "deno.json").write_text("{}")
    assert described(folder) == {}


def test_the_description_of_the_config_wins_over_the_comment(folder: Path):
    write(folder, "hello", "// From the source.")
    (folder / "config.toml").write_text('[functions.hello]\ndescription = "From the config."\n')
    assert described(folder)["hello"] == {"description": "From the config.", "verify_jwt": True}


def test_a_function_without_source_is_described_with_a_warning(folder: Path):
    (folder / "config.toml").write_text("[functions.ghost]\nverify_jwt = false\n")
    assert describe_edge_functions(folder) == (
        {"ghost": {"description": None, "verify_jwt": False}},
        ["edge function ghost is configured but has no source"],
    )


@pytest.mark.parametrize(
    "source, description",
    [
        ("", None),
        ("const a = 1; // not leading", None),
        ("import x from 'y';\n// after an import", None),
        ("// One line.", "One line."),
        ("\n\n// Two\n// lines.\ncode", "Two lines."),
        ("/* Short. */ code", "Short."),
        ("/**\n * Long\n *\n * form.\n */\ncode", "Long form."),
        ("/** */ code", None),
        ("//\ncode", None),
        ("\ufeff// After a byte order mark.", "After a byte order mark."),
        ("// Grüße an 🐘\r\ncode", "Grüße an 🐘"),
        ("/* never closed", None),
        ('/// <reference types="https://esm.sh/v135/deno.d.ts" />\n// Real.\n', "Real."),
        ("// deno-lint-ignore-file no-explicit-any\n\n/** Real. */", "Real."),
        ("// @ts-nocheck\n// eslint-disable\ncode", None),
    ],
)
def test_the_leading_comment_is_the_description(folder: Path, source: str, description: str | None):
    write(folder, "hello", source)
    assert described(folder)["hello"]["description"] == description


def test_malformed_toml_names_its_line(folder: Path):
    (folder / "config.toml").write_text('project_id = "x"\n\n[functions.hello\nverify_jwt = true\n')
    with pytest.raises(DescriptionFailed, match=r"config\.toml is malformed: .*line 3"):
        describe_edge_functions(folder)


def test_a_config_that_is_no_text_names_its_line(folder: Path):
    (folder / "config.toml").write_bytes(b'project_id = "x"\nname = "\xff"\n')
    with pytest.raises(DescriptionFailed, match=r"config\.toml is malformed: not UTF-8 \(at line 2\)"):
        describe_edge_functions(folder)


@pytest.mark.parametrize("content", ["functions = 3", "[functions]\nhello = true", "[[functions]]\nname = 'x'"])
def test_functions_that_are_no_tables_are_refused(folder: Path, content: str):
    (folder / "config.toml").write_text(content)
    with pytest.raises(DescriptionFailed, match="functions must be tables"):
        describe_edge_functions(folder)


def test_a_config_that_cannot_be_read_is_refused(folder: Path):
    (folder / "config.toml").mkdir()
    with pytest.raises(DescriptionFailed, match="cannot be read: Is a directory"):
        describe_edge_functions(folder)


def test_every_setting_can_be_written_as_json(folder: Path):
    (folder / "config.toml").write_text("[functions.a]\nsince = 2025-12-07\nfiles = ['x']\nlimits = {n = 1}\n")
    functions, _ = describe_edge_functions(folder)
    assert json.loads(json.dumps(functions)) == functions
    assert functions["a"]["since"] == "2025-12-07"
