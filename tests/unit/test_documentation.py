"""What the documentation names exists, and its tables are those in the code."""

import re
from pathlib import Path

import pytest

from datastore_logic.domain import events
from datastore_logic.domain.findings import WEIGHT, Finding
from datastore_logic.domain.tags import ALLOWED, MAY_BECOME

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]


def test_the_table_of_states_is_the_one_in_the_code():
    """docs/conditions-model.md prints what datastore_logic.domain.tags.ALLOWED says."""
    text = (ROOT / "docs" / "conditions-model.md").read_text()
    for state, acts in ALLOWED.items():
        assert f"| {state} | {' | '.join(acts.values())} |" in text


def test_the_table_of_transitions_is_the_one_in_the_code():
    """docs/conditions-model.md prints what datastore_logic.domain.tags.MAY_BECOME says."""
    text = (ROOT / "docs" / "conditions-model.md").read_text()
    for state, others in MAY_BECOME.items():
        assert f"| {state} | {' | '.join(others.values())} |" in text


def test_the_table_of_findings_is_the_one_in_the_code():
    """docs/conditions-model.md prints what datastore_logic.domain.findings.WEIGHT says."""
    text = (ROOT / "docs" / "conditions-model.md").read_text()
    assert set(WEIGHT) == set(Finding)
    for finding, weight in WEIGHT.items():
        assert f"| `{finding}` | {weight} |" in text


def test_every_ledger_entry_is_described():
    """docs/architecture.md names every type of entry that is read."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    assert all(f"`{kind}`" in text for kind in events.KINDS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    """Every relative link names a file, and every #part of it a heading."""
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", page.read_text()):
        path, _, part = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not part or part in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_named_tests_and_modules_exist(page):
    """A promise that names its test names one that is there."""
    for name in re.findall(
        r"`((?:tests|databuffer|datastore_logic|client)/[\w./*]+)`", page.read_text()
    ):
        assert list(ROOT.glob(name.rstrip("/"))), name


def anchors(page):
    """Return the anchors of a page's headings, as code hosts make them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
