from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from include.demo.database.guide import GUIDE_TABLES
from include.disaster_recovery.errors import SettingsError
from include.disaster_recovery.settings import CONFIG_VARIABLE, DEFAULT_FILE, PROJECT_ROOT, Settings, load_settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def load(file: Path, content: Any) -> Settings:
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return load_settings(file)


def refused(file: Path, content: Any) -> str:
    with pytest.raises(SettingsError) as error:
        load(file, content)
    assert str(file) in error.value.fact
    assert error.value.hint
    return error.value.fact


def paths(model: type[BaseModel], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from paths(field.annotation, (*above, name))
        else:
            yield (*above, name)


def test_the_shipped_file_is_the_default_and_valid(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    assert load_settings() == load_settings(DEFAULT_FILE)
    assert load_settings().tables.include == list(GUIDE_TABLES)
    assert len(GUIDE_TABLES) == 18


@pytest.mark.parametrize("path", list(paths(Settings)), ids=".".join)
def test_the_shipped_file_shows_every_setting(path: tuple[str, ...]):
    content = yaml.safe_load(DEFAULT_FILE.read_text())
    for step in path:
        assert step in content, f"{'.'.join(path)} is missing in {DEFAULT_FILE.name}"
        content = content[step]


def test_what_the_shipped_file_shows_are_the_defaults_but_for_the_tables():
    shipped = load_settings(DEFAULT_FILE).model_dump()
    shipped["tables"]["include"] = "all"
    assert shipped == Settings().model_dump()


@pytest.mark.parametrize("content", ["", "# only a comment\n", "---\n", "{}"])
def test_an_empty_file_means_the_defaults(file: Path, content: str):
    assert load(file, content) == Settings()


def test_the_environment_names_another_file(file: Path, monkeypatch: pytest.MonkeyPatch):
    file.write_text("compression: zstd")
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert load_settings().compression == "zstd"


def test_an_empty_variable_names_no_file(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(CONFIG_VARIABLE, "")
    assert load_settings() == load_settings(DEFAULT_FILE)


def test_a_missing_file_is_said_with_the_variable_that_names_it(file: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    with pytest.raises(SettingsError, match=f"{file} cannot be read: No such file or directory") as error:
        load_settings()
    assert CONFIG_VARIABLE in error.value.hint


def test_a_folder_is_no_settings_file(tmp_path: Path):
    with pytest.raises(SettingsError, match="Is a directory"):
        load_settings(tmp_path)


def test_malformed_yaml_is_said_with_its_line(file: Path):
    assert "line 2" in refused(file, "s3:\n  bucket: [unclosed\n")


def test_bytes_that_are_no_text_are_refused(file: Path):
    file.write_bytes(b"compression: \xff\n")
    with pytest.raises(SettingsError, match="is not valid YAML"):
        load_settings(file)


WRONG: list[tuple[str, Any]] = [
    ("s3.bucket", "No_Underscore"),
    ("s3.bucket", "ab"),
    ("s3.bucket", "collabhunts-backups\n"),
    ("s3.bucket", 5),
    ("s3.region", 5),
    ("s3.sse", "AES-256"),
    ("s3.kms_key_id", 7),
    ("s3.connections.retention", "no id of a connection"),
    ("compression", "lz4"),
    ("compression", None),
    ("tables.include", "profiles"),
    ("tables.include", None),
    ("tables.include", {"profiles": True}),
    ("tables.include.1", ["profiles", 7]),
    ("tables.exclude", "profiles"),
    ("tables.schemas", []),
    ("tables.auth", "yes please"),
    ("tables.auth", 1),
    ("extract.split_bytes", 1024),
    ("extract.split_bytes", "256 MiB"),
    ("extract.split_bytes", "268435456"),
    ("extract.split_bytes", 268435456.0),
    ("extract.split_bytes", True),
    ("extract.lock_timeout_seconds", 0),
    ("extract.snapshot_start_seconds", -1),
    ("extract.snapshot_idle_seconds", 0.5),
    ("postgres.pg_dump", 17),
    ("supabase.project_id", None),
    ("supabase.folder", 1),
    ("s3.bukcet", "typo"),
    ("tabels", {}),
    ("s3", None),
    ("s3", "collabhunts-backups"),
]


def nested(path: str, value: Any) -> dict[str, Any]:
    steps = [step for step in path.split(".") if not step.isdigit()]
    for step in reversed(steps):
        value = {step: value}
    return value


@pytest.mark.parametrize("path, value", WRONG, ids=[f"{path}={value!r}" for path, value in WRONG])
def test_a_wrong_value_is_named_by_its_path(file: Path, path: str, value: Any):
    fact = refused(file, nested(path, value))
    assert f" wrong value(s): {path}: " in fact or f"; {path}: " in fact


def test_a_connection_for_a_purpose_that_there_is_not_is_refused(file: Path):
    fact = refused(file, {"s3": {"connections": {"backups": "collabhunts_s3_backup"}}})
    assert "s3.connections.backups.[key]: Input should be 'backup', 'restore', 'verify'" in fact


def test_every_wrong_value_is_named_at_once(file: Path):
    fact = refused(file, {"compression": "lz4", "s3": {"bucket": "X", "typo": 1}, "tables": {"include": 5}})
    assert "has 4 wrong value(s)" in fact
    for path in ("compression: ", "s3.bucket: ", "s3.typo: ", "tables.include: "):
        assert path in fact


@pytest.mark.parametrize("content", ["- a\n- b\n", "just text", "42"])
def test_a_file_that_is_no_mapping_is_refused(file: Path, content: str):
    assert "file: Input should be a valid dictionary" in refused(file, content)


@pytest.mark.parametrize("name", ["prefix", "staging_prefix"])
@pytest.mark.parametrize(
    "value",
    [
        "",
        "/",
        "backups",
        "/backups/",
        "backups//",
        "../",
        "backups/../",
        "./",
        "a/./b/",
        ".hidden/",
        "a b/",
        "a/\n",
        "ü/",
        "a%2f/",
        "a\\b/",
        "a/..b/",
    ],
)
def test_a_prefix_stays_within_its_bucket_and_its_words(file: Path, name: str, value: str):
    assert f"s3.{name}: " in refused(file, {"s3": {name: value}})


@pytest.mark.parametrize("value", ["backups/", "prod/eu/backups/", "tenant=7/v1.2/", "_a-b/"])
def test_a_plain_prefix_is_taken(file: Path, value: str):
    assert load(file, {"s3": {"prefix": value}}).s3.prefix == value


@pytest.mark.parametrize("prefix, staging", [("a/", "a/"), ("a/", "a/staging/"), ("staging/x/", "staging/")])
def test_backups_and_staging_never_lie_inside_each_other(file: Path, prefix: str, staging: str):
    assert "lie inside each other" in refused(file, {"s3": {"prefix": prefix, "staging_prefix": staging}})


def test_prefixes_that_only_begin_alike_are_apart(file: Path):
    assert load(file, {"s3": {"prefix": "a/", "staging_prefix": "ab/"}}).s3.staging_prefix == "ab/"


@pytest.mark.parametrize("sse", ["AES256", None])
def test_a_kms_key_needs_kms(file: Path, sse: str | None):
    assert f"s3: Value error, kms_key_id is set but sse is {sse!r}" in refused(
        file, {"s3": {"sse": sse, "kms_key_id": "alias/k"}}
    )


@pytest.mark.parametrize("key", ["alias/k", None])
def test_kms_works_with_a_key_or_the_accounts_own(file: Path, key: str | None):
    assert load(file, {"s3": {"sse": "aws:kms", "kms_key_id": key}}).s3.kms_key_id == key


@pytest.mark.parametrize(
    "include, reason", [([], "include is empty"), (["profiles", "reviews", "profiles"], "names a table twice")]
)
def test_a_table_list_that_cannot_be_meant_is_refused(file: Path, include: list[str], reason: str):
    assert reason in refused(file, {"tables": {"include": include}})


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        Settings().s3.bucket = "other"  # type: ignore[misc]


def test_the_supabase_folder_is_relative_to_the_project_or_absolute(file: Path, tmp_path: Path):
    assert Settings().supabase_folder() == PROJECT_ROOT / "include" / "supabase"
    assert load(file, {"supabase": {"folder": str(tmp_path)}}).supabase_folder() == tmp_path


def test_weekly_drills_ask_for_a_patient_watch(file: Path):
    assert "every drill would be late" in refused(file, {"drill": {"every": "week"}})
    assert load(file, {"drill": {"every": "week"}, "watch": {"unproven_hours": 192}}).drill.every == "week"
    assert load(file, {"drill": {"every": "week"}, "watch": {"unproven_hours": None}}).watch.unproven_hours is None
