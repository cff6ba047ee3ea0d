"""envsetup.sh and docs/configuration.md name the same variables with the same defaults."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_documentation_and_envsetup_agree():
    """Nobody has to guess which of the two is right."""
    assert documented() == exported()


def documented():
    """Return {variable: default} from the tables of the documentation."""
    text = (ROOT / "docs" / "configuration.md").read_text()
    return dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]*)` \|", text, re.MULTILINE))


def exported():
    """Return {variable: default} from the assignments of envsetup.sh."""
    text = (ROOT / "envsetup.sh").read_text()
    return dict(re.findall(r'^: "\$\{([A-Z_]+):=(.*)\}"', text, re.MULTILINE))
