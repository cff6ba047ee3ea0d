"""The campaign's DAG, run by `airflow dags test`: from a look over the tag to the same answers."""

import json

import pytest

from condstore import NewIOV

TYPES = ("Beam", "Field", "Map")


def told(client, tag, gap=None):
    """Make a tag with payloads of three types over [0, 100), changing at other moments each."""
    client.create_tag(tag)
    digests = [client.put_payload(f"payload {number}".encode()).digest for number in range(5)]
    rows = [
        NewIOV(name, (start, 0), (min(start + step, 100), 0), digest=digests[start % 5])
        for step, name in zip((10, 15, 7), TYPES, strict=True)
        for start in range(0, 100, step)
        if (name, start) != gap
    ]
    client.insert_iovs(tag, rows)


def campaign(home, **conf):
    """Run the DAG to its end; return its exit status and what it printed."""
    done = home.cli("dags", "test", "Campaign", "--conf", json.dumps(conf))
    return done.returncode, done.stdout + done.stderr


@pytest.mark.usefixtures("connection")
def test_a_campaign_runs_offline_and_is_verified_online(home, client, tmp_path):
    """Frozen strictly, pulled, walked through by four jobs, which met every change."""
    told(client, "O4")
    status, printed = campaign(home, tag="O4", jobs=4, folder=str(tmp_path / "bundles"))
    assert status == 0, printed[-4000:]
    assert set(home.states("Campaign").values()) == {"success"}
    assert [name for name in home.states("Campaign") if "[" in name] == [
        f"job[{number}]" for number in range(4)
    ]
    assert home.xcom("Campaign", "freeze") == client.pin("O4")
    (bundle,) = (tmp_path / "bundles").glob("*")
    assert home.xcom("Campaign", "pull") == str(bundle)
    changes = {start for step in (10, 15, 7) for start in range(0, 100, step)}
    assert home.xcom("Campaign", "verify") == len(changes | {25, 50, 75})


@pytest.mark.usefixtures("connection")
def test_a_campaign_on_a_tag_with_a_gap_fails_in_words(home, client, tmp_path):
    """The look over the tag names type and place; nothing is frozen."""
    told(client, "O4", gap=("Field", 30))
    status, printed = campaign(home, tag="O4", folder=str(tmp_path / "bundles"))
    assert status != 0
    assert "O4 is not ready to be frozen: Field: 1 gap at 30:0" in printed
    assert home.states("Campaign")["check"] == "failed"
    assert client.tag("O4").tag.state == "unlocked"
