"""The manifests and the code name the same variables, ports, paths, files, images and users."""

import re
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import pytest
from manifests import (
    OVERLAYS,
    ROOT,
    containers,
    dockerfile,
    environment,
    in_the_image,
    named,
    of_kind,
    rendered,
    selects,
    templates,
)
from typer.main import get_command

from condstore.cli import app as command
from databuffer.config import Config as BufferConfig
from databuffer.web.health import routes as buffer_routes
from datastore_logic.config import Config as LogicConfig
from datastore_logic.web.metrics import Metrics

WITH_SERVERS = ("dev", "prod")
TWINS = {"GWID", "DTCID", "INF", "SUP", "SRV"}
EXPORTED = dict(
    re.findall(r'^: "\$\{(\w+):=(.*?)\}"', (ROOT / "envsetup.sh").read_text(), re.MULTILINE)
)


@pytest.fixture(params=WITH_SERVERS)
def objects(request):
    """Return the objects of an overlay that runs both tiers."""
    return rendered(request.param)


@pytest.fixture
def secret_files(tmp_path, monkeypatch):
    """Make the files of the Secret; return what puts their folder into an environment."""
    for name in ("buffer-token", "admin-token"):
        (tmp_path / name).write_text("0123456789abcdef" * 4)
    where = str(tmp_path)
    return lambda told: {
        name: text.replace("/run/secrets/condstore", where) for name, text in told.items()
    }


def container(objects, name):
    """Return (pod spec, container) of the tier."""
    return next((pod, one) for owner, pod, one in containers(objects) if owner == name)


def buffer_config(objects):
    """Return what the databuffer makes of its image's and the manifest's environment."""
    return BufferConfig.from_environ(in_the_image(objects, container(objects, "databuff")[1]))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_variable_is_one_of_ours(overlay):
    """Nothing is set that nothing reads."""
    known = EXPORTED.keys() | TWINS
    for owner, _, one in containers(rendered(overlay)):
        assert not environment(rendered(overlay), one).keys() - known, owner


def test_what_airflow_is_told_is_read():
    """The ConfigMap for Airflow's pods has the provider's connection and its own variables."""
    told = named(rendered("producers"), "ConfigMap", "airflow-condstore")["data"]
    assert told.keys() - EXPORTED.keys() == {"AIRFLOW_CONN_CONDSTORE_DEFAULT", "DS_BURL"}
    assert '"condstore_default"' in (ROOT / "client/condstore/airflow/hook.py").read_text()
    assert "DS_BURL" in (ROOT / "client/dags/trainpipe.py").read_text()


def test_only_what_differs_is_set():
    """A variable of the base has another value than the built-in default."""
    lines = (ROOT / "k8s/base/condstore.env").read_text().splitlines()
    told = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert len(told) > 5
    assert not {name for name, text in told.items() if EXPORTED[name] == text}


def test_the_tiers_start_with_it(objects, secret_files):
    """Both configurations take their environment, and know by it who asks."""
    told = secret_files(in_the_image(objects, container(objects, "databuff")[1]))
    assert BufferConfig.from_environ(told).authentication == "on"
    told = secret_files(in_the_image(objects, container(objects, "dslogic")[1]))
    assert LogicConfig.from_environ(told).authentication == "on"


def test_what_must_survive_lies_on_a_volume(objects):
    """Each path of the databuffer is on a claim; the ledger on `adml`, the blobs on `gwdataln`."""
    _, one = container(objects, "databuff")
    claims = {
        claim["metadata"]["name"]
        for claim in named(objects, "StatefulSet", "databuff")["spec"]["volumeClaimTemplates"]
    }
    assert claims == {"adml", "gwdataln"}
    config = buffer_config(objects)
    on = {
        name: mounted_on(one, getattr(config, name))
        for name in (
            *("admroot", "logroot", "ledgerroot", "stateroot"),
            *("dtvolroot", "dataroot", "blobroot"),
        )
    }
    assert on == dict.fromkeys(list(on)[:4], "adml") | dict.fromkeys(list(on)[4:], "gwdataln")


def test_the_view_lies_on_scratch_space(objects, secret_files):
    """The logic tier keeps its view on the node, where slices and a view beside it have room."""
    pod, one = container(objects, "dslogic")
    config = LogicConfig.from_environ(secret_files(in_the_image(objects, one)))
    volume = next(
        each for each in pod["volumes"] if each["name"] == mounted_on(one, config.view_path)
    )
    assert config.slices_bytes * 3 <= 12 * 2**30 == amount_of(volume["emptyDir"]["sizeLimit"])


def amount_of(quantity):
    """Return a quantity in Gi as bytes."""
    return int(quantity.removesuffix("Gi")) * 2**30


def mounted_on(one, path):
    """Return the volume on which a path of the container lies."""
    mounts = {
        mount["name"]: mount["mountPath"]
        for mount in one["volumeMounts"]
        if PurePosixPath(path).is_relative_to(mount["mountPath"])
    }
    assert mounts, f"{path} is on no volume"
    return max(mounts, key=lambda name: len(mounts[name]))


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_secret_file_is_mounted(overlay):
    """What a *_FILE names is an item of the Secret that is mounted there, as a directory."""
    seen = 0
    for owner, pod, one in containers(rendered(overlay)):
        for name, path in environment(rendered(overlay), one).items():
            if not name.endswith("_FILE"):
                continue
            where = PurePosixPath(path)
            mount = next(m for m in one["volumeMounts"] if m["mountPath"] == str(where.parent))
            volume = next(v for v in pod["volumes"] if v["name"] == mount["name"])
            assert where.name in {item["path"] for item in volume["secret"]["items"]}, owner
            assert "subPath" not in mount, "a subPath does not follow its Secret"
            seen += 1
    assert seen or overlay == "restore"


def test_the_secret_made_for_one_node_has_what_is_mounted():
    """The files that the comment of overlays/dev tells to make are the keys of the Secret."""
    made = named(rendered("dev"), "Secret", "condstore")["data"]
    volumes = [volume for _, pod, _ in containers(rendered("dev")) for volume in pod["volumes"]]
    mounted = [item for volume in volumes for item in volume.get("secret", {}).get("items", [])]
    assert {item["key"] for item in mounted} == made.keys()


def test_ports_are_those_that_the_code_listens_on(objects, secret_files):
    """Container, Service and image say the port of the configuration."""
    _, one = container(objects, "databuff")
    told = secret_files(in_the_image(objects, one))
    assert ports(one) == [BufferConfig.from_environ(told).port] == [exposed("Dockerfile.buffer")]
    _, one = container(objects, "dslogic")
    told = secret_files(in_the_image(objects, one))
    assert ports(one) == [LogicConfig.from_environ(told).port] == [exposed("Dockerfile.logic")]
    served = {
        one["metadata"]["name"]: [port["port"] for port in one["spec"]["ports"]]
        for one in of_kind(objects, "Service")
    }
    assert served.items() >= {"databuff": [8080], "dslogic": [5000], "gflapi": [8000]}.items()


def ports(one):
    """Return the ports of a container."""
    return [port["containerPort"] for port in one["ports"]]


def exposed(name):
    """Return the port that a Dockerfile exposes."""
    return int(re.search(r"^EXPOSE (\d+)", (ROOT / name).read_text(), re.MULTILINE)[1])


def test_the_logic_tier_asks_the_databuffers_service(objects):
    """DB_BURL names the Service and its port."""
    url = urlsplit(environment(objects, container(objects, "dslogic")[1])["DB_BURL"])
    service = named(objects, "Service", url.hostname)
    assert url.port in [port["port"] for port in service["spec"]["ports"]]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True


def test_producers_ask_services_that_are_there():
    """SRV and Airflow's URLs name Services of the base, their ports and a route."""
    told = rendered("producers")
    urls = [
        named(told, "ConfigMap", "gw-producer")["data"]["SRV"],
        *(
            named(told, "ConfigMap", "airflow-condstore")["data"][name]
            for name in ("AIRFLOW_CONN_CONDSTORE_DEFAULT", "DS_BURL")
        ),
    ]
    for url in map(urlsplit, urls):
        name, _, namespace = url.hostname.partition(".")
        service = named(rendered("prod"), "Service", name)
        assert service["metadata"]["namespace"] == namespace
        assert url.port in [port["port"] for port in service["spec"]["ports"]]
    assert "| `POST /streamdata` |" in (ROOT / "docs/security.md").read_text()
    assert urlsplit(urls[0]).path == "/streamdata"


@pytest.mark.parametrize("overlay", WITH_SERVERS)
def test_probes_ask_what_the_code_answers(overlay):
    """Each path is an open route of that tier, each port one of the container."""
    routes = {
        "databuff": {route.path for route in buffer_routes},
        "dslogic": set(re.findall(r"\| `GET (/\w+)` \| open \|", security())),
        "dscache": {re.search(r"location = (\S+alive)", nginx())[1]},
    }
    for owner, _, one in containers(rendered(overlay)):
        if owner not in routes:
            continue
        for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
            if kind == "startupProbe" and owner == "dscache":
                continue
            asked = one[kind]["httpGet"]
            assert asked["path"] in routes[owner], (owner, kind)
            assert asked["port"] in [port["name"] for port in one["ports"]], (owner, kind)
        if owner in {"databuff", "dslogic"}:
            alive = [one[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe")]
            assert alive == ["/livez", "/livez"]
            assert one["readinessProbe"]["httpGet"]["path"] == "/readyz"


def security():
    """Return the page with the table of routes."""
    return (ROOT / "docs/security.md").read_text()


def nginx():
    """Return the configuration of the cache tier."""
    return (ROOT / "k8s/overlays/prod/cache/nginx.conf").read_text()


def test_the_cache_tier_asks_and_listens_where_the_manifests_say():
    """Its upstream is the logic tier's Service; its port and its folders are the container's."""
    _, one = container(rendered("prod"), "dscache")
    upstream = set(re.findall(r"server (ds\w+):(\d+)", nginx()))
    assert upstream == {("dslogic", "5000")}
    assert re.findall(r"listen (\d+) ", nginx()) == [str(port) for port in ports(one)]
    written = re.findall(r"_path (/\w+)/|^pid (/\w+)/", nginx(), re.MULTILINE)
    mounts = {mount["mountPath"] for mount in one["volumeMounts"] if not mount.get("readOnly")}
    assert {first or second for first, second in written} == mounts


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_images_are_those_of_the_dockerfiles_and_run_as_their_user(overlay):
    """Each image is built by a command that a Dockerfile states, and runs under its numbers."""
    for owner, pod, one in containers(rendered(overlay)):
        image = one["image"].rpartition(":")[0].rpartition("/")[2]
        if image == "nginx-unprivileged":
            continue
        text = dockerfile(image)
        assert re.search(rf"-t {image}\b", text), image
        uid, gid = re.search(r"^USER (\d+):(\d+)", text, re.MULTILINE).groups()
        told = pod["securityContext"]
        assert (told["runAsUser"], told["runAsGroup"], told["fsGroup"]) == (
            *(int(uid), int(gid), int(gid)),
        ), owner


def test_a_pod_has_the_time_that_the_code_takes_to_stop(objects, secret_files):
    """The kubelet kills when preStop, DRAIN_SECONDS and SHUTDOWN_GRACE have passed, not before."""
    for name, config in (("databuff", BufferConfig), ("dslogic", LogicConfig)):
        pod, one = container(objects, name)
        told = config.from_environ(secret_files(in_the_image(objects, one)))
        hook = one.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert (
            pod["terminationGracePeriodSeconds"]
            > hook + told.drain_seconds + told.shutdown_grace + 3
        )


def test_the_nightly_commands_are_commands():
    """`condstore` knows what the CronJobs call."""
    known = get_command(command)
    every = [*containers(rendered("prod")), *containers(rendered("restore"))]
    called = [one["command"] for _, _, one in every if one.get("command", [""])[0] == "condstore"]
    assert len(called) == 5
    for _, group, verb, *_ in called:
        assert verb in known.commands[group].commands


def test_what_is_verified_is_what_is_backed_up():
    """The same directory of the same claim, which it cannot change; it has no secret."""
    (_, backup), (pod, one) = (
        container(rendered("prod"), f"condstore-{word}") for word in ("backup", "verify")
    )
    assert one["command"] == ["condstore", "admin", "verify", backup["command"][3]]
    (claim,) = (v for v in pod["volumes"] if "persistentVolumeClaim" in v)
    assert claim["persistentVolumeClaim"]["claimName"] == "condstore-backup"
    (mount,) = (m for m in one["volumeMounts"] if m["name"] == claim["name"])
    assert mount["readOnly"]
    assert mount["mountPath"] in one["command"][3]
    assert not any("secret" in volume for volume in pod["volumes"])
    assert "env" not in one


def test_the_rate_that_replicas_follow_is_of_a_counter(tmp_path):
    """The autoscaler's metric is made, by the rule in the documentation, of one the code has."""
    scaler = named(rendered("prod"), "HorizontalPodAutoscaler", "dslogic")
    metric = next(m["pods"] for m in scaler["spec"]["metrics"] if m["type"] == "Pods")["metric"]
    counter = metric["name"].removesuffix("_per_second") + "_total"
    page = (ROOT / "docs/kubernetes.md").read_text()
    assert f"{counter}{{" in page
    assert metric["name"] in page
    kept = Metrics(LogicConfig(view_path=tmp_path / "view"))._own.collect()
    assert counter.removesuffix("_total") in {each.name for each in kept if each.type == "counter"}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_policies_open_the_ports_that_pods_have(overlay):
    """What a NetworkPolicy lets in is a port of each pod that it is about."""
    objects = rendered(overlay)
    for policy in of_kind(objects, "NetworkPolicy"):
        chosen = policy["spec"]["podSelector"]["matchLabels"]
        for rule in policy["spec"].get("ingress", []):
            for _, template in templates(objects):
                if selects(chosen, template["metadata"]["labels"]):
                    has = ports(template["spec"]["containers"][0])
                    assert [port["port"] for port in rule["ports"]] == has
