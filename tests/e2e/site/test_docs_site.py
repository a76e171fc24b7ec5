"""The documentation site, built by ``nox -s docs-site`` and read in a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml  # type: ignore[import-untyped]
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from support.browser import browser
from support.pages import ROOT
from support.static import StaticServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from selenium.webdriver import Chrome

WIDTH = 390  # of a telephone
CONFIG = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
SECTIONS = {name: pages for section in CONFIG["nav"] for name, pages in section.items() if isinstance(pages, list)}
PAGES = ["index.md", *(page for pages in SECTIONS.values() for page in pages)]


def docs_site(folder: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Run the session in *folder*, with the environment that this machine may have made for it already."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("NOX", "VIRTUAL_ENV"))}
    command = [sys.executable, "-m", "nox", "-s", "docs-site", "--", "--site-dir", str(site)]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StaticServer]:
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = docs_site(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    with StaticServer(folder) as served:
        yield served


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with browser(tmp_path_factory.mktemp("browser") / "profile") as made:
        yield made


def errors(chrome: Chrome) -> list[str]:
    """Return what the console has shown since the last call, without notes."""
    entries: list[dict[str, str]] = chrome.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in entries if entry["level"] in {"SEVERE", "WARNING"}]


def page(server: StaticServer, name: str) -> str:
    return f"{server.root}/{name.removesuffix('.md')}.html"


def test_the_first_page_has_its_title_and_navigation(chrome: Chrome, server: StaticServer) -> None:
    chrome.set_window_size(1280, 900)
    chrome.get(page(server, "index.md"))
    assert chrome.title == "wheelyard"
    assert chrome.find_element(By.TAG_NAME, "h1").text.startswith("wheelyard")
    tabs = [tab.text for tab in chrome.find_elements(By.CSS_SELECTOR, ".md-tabs__link")]
    assert tabs == ["Home", *SECTIONS]
    chrome.find_element(By.LINK_TEXT, "Reference").click()
    WebDriverWait(chrome, 10).until(lambda driver: "/reference/" in driver.current_url)
    assert errors(chrome) == []


def test_the_search_finds_a_key_of_recipes(chrome: Chrome, server: StaticServer) -> None:
    chrome.set_window_size(1280, 900)
    chrome.get(page(server, "index.md"))
    chrome.find_element(By.CSS_SELECTOR, "input.md-search__input").send_keys("unpacked")
    found = WebDriverWait(chrome, 20).until(
        lambda driver: driver.find_elements(By.CSS_SELECTOR, ".md-search-result__link")
    )
    assert any("reference/site-configuration.html" in (link.get_attribute("href") or "") for link in found)
    assert errors(chrome) == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_fits_a_telephone(chrome: Chrome, server: StaticServer, name: str) -> None:
    chrome.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": WIDTH, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    try:
        chrome.get(page(server, name))
        assert chrome.execute_script("return window.innerWidth") == WIDTH
        assert chrome.execute_script("return document.documentElement.scrollWidth") <= WIDTH
        assert chrome.find_element(By.TAG_NAME, "h1").text.strip("¶")
        assert errors(chrome) == []
    finally:
        chrome.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_no_page_asks_another_server(server: StaticServer) -> None:
    """Scripts, styles, fonts and pictures come from the site; links may lead anywhere."""
    for file in Path(server.folder).rglob("*.html"):
        text = file.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]+src=\"?([^\">\s]+)", text)
        loaded += re.findall(r"<link[^>]+rel=\"?(?:stylesheet|preload|preconnect|icon)[^>]+href=\"?([^\">\s]+)", text)
        assert loaded
        assert [address for address in loaded if re.match(r"\w+:|//", address)] == [], file


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[lost](lost.md)", "lost.md"),
        ("[no heading](index.md#lost)", "#lost"),
    ],
)
def test_a_broken_link_stops_the_build(tmp_path: Path, text: str, complaint: str) -> None:
    folder = tmp_path / "project"
    for name in ("docs", "ci"):
        shutil.copytree(ROOT / name, folder / name)
    for name in ("mkdocs.yml", "noxfile.py"):
        shutil.copy(ROOT / name, folder)
    (folder / ".nox").symlink_to(ROOT / ".nox")
    with (folder / "docs/index.md").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")
    done = docs_site(folder, tmp_path / "site")
    assert done.returncode != 0
    assert complaint in done.stdout + done.stderr
