"""docs/security.md prints the table of routes and of claims that the code follows."""

import re
from pathlib import Path

from datastore_logic.access.routes import ROUTES
from datastore_logic.access.settings import CLAIMS
from datastore_logic.app import create_app
from datastore_logic.config import Config

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()


def test_the_table_of_routes_is_the_one_in_the_code():
    """Every method and path, and what it needs."""
    told = dict(re.findall(r"^\| `([A-Z]+ /[^`]*)` \| (\w+) \|$", PAGE, re.MULTILINE))
    assert told == {
        f"{method} {rule.rule}": ROUTES[rule.endpoint].value
        for rule in create_app(Config()).url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }


def test_the_table_of_claims_is_the_one_in_the_code():
    """Each role with the claim it comes from by default."""
    told = re.findall(r"^\| (\w+) \| [^|]+ \| `([\w:]+)` \|$", PAGE, re.MULTILINE)
    assert told == [(role.value, claim) for role, (_, claim) in CLAIMS.items()]
