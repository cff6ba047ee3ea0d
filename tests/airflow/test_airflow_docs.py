"""What docs/airflow.md shows is what there is."""

import json
import re
from pathlib import Path

import pytest
from airflow.sdk import DAG, Connection

from condstore.airflow import operators, sensors
from condstore.airflow.connection import Store

PAGE = (Path(__file__).parents[2] / "docs" / "airflow.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FORMS = re.findall(r"^AIRFLOW_CONN_CONDSTORE_DEFAULT='(.*?)'$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_examples_make_tasks(block):
    """Each is Python that makes its tasks; what needs another provider is read only."""
    code = compile(block, "docs/airflow.md", "exec")
    if "kubernetes" not in block:
        with DAG("docs"):
            exec(code, {})  # noqa: S102 - our own page


@pytest.mark.parametrize("form", FORMS)
def test_connections_are_understood(form):
    """URI or JSON, they lead to the example's store."""
    read = Connection.from_json if form.startswith("{") else Connection.from_uri
    found = Store.of(read(form, conn_id="c"))
    assert "conditions.example.org" in found.urls[0]
    assert found.user == "alice"
    if form.startswith("{"):
        assert json.loads(form)["extra"]["cache"] == str(found.cache)


@pytest.mark.parametrize(
    ("module", "base"),
    [(operators, operators.CondstoreOperator), (sensors, sensors.WatchSensor)],
    ids=["operators", "sensors"],
)
def test_the_tables_name_each_class_and_its_templates(module, base):
    """A row each; what is a template is in italics, and nothing else is."""
    found = [one for one in vars(module).values() if isinstance(one, type)]
    kinds = [one for one in found if issubclass(one, base) and one is not base]
    assert kinds
    for kind in kinds:
        (row,) = re.findall(rf"^\| `{kind.__name__}` \|([^|]*)\|", PAGE, re.MULTILINE)
        templates = set(kind.template_fields) - {"condstore_conn_id"}
        assert set(re.findall(r"\*(\w+)\*", row)) == templates
