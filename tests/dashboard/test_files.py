"""The dashboard's files as they are served; no browser is needed here."""

import gzip
import hashlib
import json
import re
from importlib.resources import files

import pytest

from proxypal_core.gateway import dashboard_files

FOLDER = files("proxypal_core.gateway").joinpath("dashboard")
VENDOR = FOLDER.joinpath("vendor")
VENDORED = json.loads(VENDOR.joinpath("VENDOR.json").read_text())
SCRIPTS = sorted(name for name in dashboard_files.page_files() if name.endswith(".js"))
OWN = sorted(name for name in SCRIPTS if not name.startswith("vendor/"))


def text(name):
    return dashboard_files.page_files()[name].body.decode()


def test_the_page_is_served_with_a_policy_that_lets_only_its_own_files_in():
    answer = dashboard_files.answer("", {})

    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-cache"
    policy = dict(
        one.strip().split(" ", 1) for one in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert policy["trusted-types"] == "'none'"


@pytest.mark.parametrize("name", ["", "app.js", "style.css", "icon.svg", "vendor/htm.js"])
def test_a_known_file_is_not_sent_again(name):
    etag = dashboard_files.answer(name, {}).headers["etag"]

    answer = dashboard_files.answer(name, {"if-none-match": f'"other", W/{etag}'})

    assert answer.status == 304
    assert not answer.body
    assert answer.headers["etag"] == etag


def test_a_file_is_zipped_for_who_understands_it():
    answer = dashboard_files.answer("app.js", {"accept-encoding": "br, gzip"})

    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == dashboard_files.answer("app.js", {}).body


@pytest.mark.parametrize(
    "name",
    [
        "none.js",
        "../endpoints.py",
        "vendor",
        "vendor/",
        "vendor/../app.js",
        "/app.js",
        "index.html",
    ],
)
def test_there_is_nothing_but_the_files(name):
    assert dashboard_files.answer(name, {}) is None


@pytest.mark.parametrize("row", VENDORED, ids=lambda row: row["file"])
def test_a_library_is_what_its_record_says(row):
    body = VENDOR.joinpath(row["file"]).read_bytes()

    assert hashlib.sha256(body).hexdigest() == row["sha256"]
    assert row["version"]
    assert row["source"]
    licence = VENDOR.joinpath(row["licence_file"]).read_text()
    assert {"MIT": "MIT License", "Apache-2.0": "Apache License"}[row["licence"]] in licence


def test_every_library_has_a_record():
    files = {entry.name for entry in VENDOR.iterdir() if entry.name.endswith((".js", ".css"))}

    assert files == {row["file"] for row in VENDORED}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_needs_neither_eval_nor_an_import_map(name):
    script = text(name)
    imported = re.findall(r'(?:\bfrom|\bimport)\s*"([^"]+)"', script)

    assert not re.search(r"\beval\(|new Function\b|\bimport\(", script)
    folder = name.rpartition("/")[0]
    known = {f"./{one.removeprefix(f'{folder}/')}" for one in SCRIPTS}
    assert set(imported) <= known | {f"./{one}" for one in SCRIPTS}


@pytest.mark.parametrize("name", OWN)
def test_no_text_of_the_page_is_taken_for_markup(name):
    script = text(name)

    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|document\.write|\bon\w+=\"", script)
    assert len(script.splitlines()) <= 400


def test_the_whole_page_is_small():
    sent = sum(
        len(file.zipped)
        for name, file in dashboard_files.page_files().items()
        if ".txt" not in name
    )

    assert sent < 80_000
