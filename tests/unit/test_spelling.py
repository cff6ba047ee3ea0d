"""A misspelt variable is warned of at the start; what others set is not."""

import re
from pathlib import Path

import pytest

from databuffer import spelling as of_the_buffer
from databuffer.config import Config as BufferConfig
from datastore_logic import spelling as of_the_logic
from datastore_logic.config import Config as LogicConfig
from datastore_logic.spelling import VARIABLES, misspelt

TIERS = ("databuffer", "datastore_logic")
DOCUMENTATION = Path(__file__).parents[2] / "docs" / "configuration.md"
IN_A_POD = [
    *("PATH", "HOME", "HOSTNAME", "PWD", "SHLVL", "LANG", "TERM", "GPG_KEY", "PYTHON_VERSION"),
    *("PYTHON_SHA256", "PYTHONUNBUFFERED", "SSL_CERT_FILE", "https_proxy", "NO_PROXY", "USER"),
    *("KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "KUBERNETES_SERVICE_PORT_HTTPS"),
    *("KUBERNETES_PORT", "KUBERNETES_PORT_443_TCP", "KUBERNETES_PORT_443_TCP_PROTO"),
    *("DSLOGIC_PORT", "DSLOGIC_PORT_5000_TCP", "DSLOGIC_PORT_5000_TCP_ADDR"),
    *("DSLOGIC_SERVICE_HOST", "DSLOGIC_SERVICE_PORT", "DSLOGIC_SERVICE_PORT_HTTP"),
    *("DATABUFF_SERVICE_HOST", "DATABUFF_PORT_8080_TCP_PORT"),
    *("MAX_CONNECTIONS_PORT", "VIEW_PATH_SERVICE_HOST", "ADMIN_TOKEN_PORT"),  # of any Service
    *("OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TIMEOUT"),
    *("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"),
    *("GUNICORN_CMD_ARGS", "PROMETHEUS_MULTIPROC_DIR", "LOGNAME", "OMP_NUM_THREADS"),
    *("READ_TIMEOUT", "LOG_FILE", "DATABASE_URL", "SECRET_KEY", "GITHUB_TOKEN", "NODE_NAME"),
]


class Asked(dict):
    """An empty environment that notes which variables are asked for."""

    def get(self, name, default=None):
        """Note it."""
        self[name] = None
        return default


@pytest.mark.parametrize(
    ("name", "meant", "tiers"),
    [
        ("HEADER_TIMOUT", "HEADER_TIMEOUT", TIERS),
        ("HEADER_TIMEOUTS", "HEADER_TIMEOUT", TIERS),
        ("HEADERTIMEOUT", "HEADER_TIMEOUT", TIERS),
        ("header_timeout", "HEADER_TIMEOUT", TIERS),
        ("MAX_CONNECTION", "MAX_CONNECTIONS", TIERS),
        ("BUFFER_TOKNE", "BUFFER_TOKEN", TIERS),
        ("VOLUM_ROOT", "VOLUME_ROOT", TIERS[:1]),
        ("LEDGER_ROOT", "LEDGERROOT", TIERS[:1]),
        ("VIEW_PAHT", "VIEW_PATH", TIERS[1:]),
        ("CHECKPOINT", "CHECKPOINTS", TIERS[1:]),
        ("DB_URL", "DB_BURL", TIERS[1:]),
        ("THRAEDS", "THREADS", TIERS[1:]),
        ("PORTS", "PORT", TIERS[1:]),
    ],
)
@pytest.mark.parametrize("tier", TIERS)
def test_a_name_that_is_nearly_a_variable_is_told(tier, name, meant, tiers):
    """To the tier whose variable it nearly is, with the one that is meant."""
    line = f"{name} is set, and is no variable of condstore: {meant}?"
    assert misspelt([name, "PATH"], tier) == ([line] if tier in tiers else [])


@pytest.mark.parametrize("tier", TIERS)
def test_what_others_set_is_no_misspelling(tier):
    """Kubernetes, an image, a shell, OpenTelemetry."""
    assert misspelt(IN_A_POD, tier) == []


@pytest.mark.parametrize("tier", TIERS)
def test_no_variable_of_condstore_is_a_misspelling(tier):
    """Nor one of the other tier, however like one of this tier's, nor one of the client."""
    assert misspelt(frozenset().union(*VARIABLES.values()), tier) == []


def test_they_are_told_in_order():
    """Whatever order the environment has."""
    told = misspelt(["VIEW_PAHT", "BODY_TIMOUT"], "datastore_logic")
    assert [line.partition(" ")[0] for line in told] == ["BODY_TIMOUT", "VIEW_PAHT"]


@pytest.mark.parametrize(
    ("tier", "config"), [("databuffer", BufferConfig), ("datastore_logic", LogicConfig)]
)
def test_the_variables_are_those_that_are_read(tier, config):
    """A new one is known here, too."""
    asked = Asked()
    config.from_environ(asked)
    assert asked.keys() == VARIABLES[tier]


def test_every_variable_of_the_documentation_is_known():
    """Those in its tables, and those that it says are in none."""
    text = DOCUMENTATION.read_text()
    told = set(re.findall(r"^\| `([A-Z_]+)`", text, re.MULTILINE))
    told |= set(re.findall(r"`([A-Z_]+)`", text.rpartition("\n\n")[2]))
    assert told == frozenset().union(*VARIABLES.values())


def test_both_tiers_have_the_same_words():
    """The whole module: neither may import the other."""
    ours, theirs = (Path(one.__file__).read_text() for one in (of_the_buffer, of_the_logic))
    assert ours == theirs
