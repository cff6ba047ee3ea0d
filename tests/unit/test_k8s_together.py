"""What a manifest names in another is there: selectors, targets, references, policies."""

import itertools

import pytest
from manifests import ROOT, of_kind, rendered, selects, templates

ALL = tuple(itertools.chain.from_iterable(map(rendered, ("prod", "producers", "restore"))))
MADE_BY_HAND = {"condstore", "condstore-tls", "gw-producer"}
CLAIMS = {"adml-databuff-0", "gwdataln-databuff-0", "condstore-backup"}


@pytest.fixture(params=["dev", "prod", "producers", "restore"])
def objects(request):
    """Return the objects of an overlay."""
    return rendered(request.param)


def labels(objects):
    """Return {what it belongs to: labels of its pods}."""
    return {name: template["metadata"]["labels"] for name, template in templates(objects)}


def chosen(objects, selector):
    """Return what the pods belong to that a selector chooses."""
    return {name for name, told in labels(objects).items() if selects(selector, told)}


def test_each_service_chooses_its_own_pods(objects):
    """Exactly those, and its target port is one of theirs by name."""
    owners = {"databuff": "databuff", "dslogic": "dslogic", "gflapi": "dslogic"}
    for one in of_kind(objects, "Service"):
        name = one["metadata"]["name"]
        owner = owners.get(name, name)
        assert chosen(objects, one["spec"]["selector"]) == {owner}
        template = dict(templates(objects))[owner]
        has = {port["name"] for c in template["spec"]["containers"] for port in c["ports"]}
        assert {port["targetPort"] for port in one["spec"]["ports"]} <= has


def test_what_makes_pods_knows_them_again(objects):
    """A selector chooses the pods of its own template and no others, labels are told alike."""
    for one in of_kind(objects, "Deployment", "StatefulSet"):
        name = one["metadata"]["name"]
        assert chosen(objects, one["spec"]["selector"]["matchLabels"]) == {name}
        assert one["metadata"]["labels"] == labels(objects)[name]
        for spread in one["spec"]["template"]["spec"].get("topologySpreadConstraints", []):
            assert chosen(objects, spread["labelSelector"]["matchLabels"]) == {name}
    for name, told in labels(objects).items():
        assert told["app.kubernetes.io/name"] == name
        assert told["app.kubernetes.io/part-of"] == "condstore"


def test_budgets_leave_room_to_drain(objects):
    """A budget is about one Deployment, and lets one pod go at any time."""
    for one in of_kind(objects, "PodDisruptionBudget"):
        name = one["metadata"]["name"]
        assert chosen(objects, one["spec"]["selector"]["matchLabels"]) == {name}
        assert one["spec"]["maxUnavailable"] == 1
        assert of_kind(objects, "StatefulSet")[0]["metadata"]["name"] != name


def test_the_autoscaler_alone_says_how_many_there_are():
    """Its target is there and has no number of its own; three at least."""
    (scaler,) = of_kind(rendered("prod"), "HorizontalPodAutoscaler")
    target = scaler["spec"]["scaleTargetRef"]
    deployments = {
        one["metadata"]["name"]: one for one in of_kind(rendered("prod"), target["kind"])
    }
    assert "replicas" not in deployments[target["name"]]["spec"]
    assert scaler["spec"]["minReplicas"] >= 3


def test_the_ingress_asks_a_service_and_ends_tls():
    """Every path leads to a Service's port; every host has a certificate."""
    (ingress,) = of_kind(rendered("prod"), "Ingress")
    services = {one["metadata"]["name"]: one for one in of_kind(rendered("prod"), "Service")}
    covered = {host for tls in ingress["spec"]["tls"] for host in tls["hosts"]}
    for rule in ingress["spec"]["rules"]:
        assert rule["host"] in covered
        for path in rule["http"]["paths"]:
            asked = path["backend"]["service"]
            ports = services[asked["name"]]["spec"]["ports"]
            assert asked["port"]["name"] in [port["name"] for port in ports]


def test_what_pods_mount_and_read_is_there(objects):
    """ConfigMaps are rendered; Secrets and claims are rendered or in the documentation."""
    page = (ROOT / "docs/kubernetes.md").read_text()
    rendered_names = {
        kind: {one["metadata"]["name"] for one in of_kind(objects, kind)}
        for kind in ("ConfigMap", "Secret", "PersistentVolumeClaim")
    }
    for _, template in templates(objects):
        for kind, name in references(template["spec"]):
            if kind == "ConfigMap":
                assert name in rendered_names[kind]
            elif name not in rendered_names[kind]:
                assert name in MADE_BY_HAND | CLAIMS
                assert f"`{name}`" in page


def references(pod):
    """Yield (kind, name) of all that a pod needs."""
    for volume in pod.get("volumes", []):
        if "configMap" in volume:
            yield "ConfigMap", volume["configMap"]["name"]
        if "secret" in volume:
            yield "Secret", volume["secret"]["secretName"]
        if "persistentVolumeClaim" in volume:
            yield "PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]
    for container in pod["containers"]:
        for source in container.get("envFrom", []):
            yield "ConfigMap", source["configMapRef"]["name"]
        for variable in container.get("env", []):
            if "valueFrom" in variable:
                yield "ConfigMap", variable["valueFrom"]["configMapKeyRef"]["name"]


def test_restored_claims_are_those_the_databuffer_looks_for():
    """The names are made of the template's, the StatefulSet's and the number of its pod."""
    (databuff,) = of_kind(rendered("prod"), "StatefulSet")
    wanted = {
        f"{claim['metadata']['name']}-{databuff['metadata']['name']}-0": claim["spec"]
        for claim in databuff["spec"]["volumeClaimTemplates"]
    }
    made = {
        one["metadata"]["name"]: one["spec"]
        for one in of_kind(rendered("restore"), "PersistentVolumeClaim")
    }
    assert made == wanted


def test_every_pod_is_denied_what_no_policy_allows(objects):
    """Each pod beside the restored one is chosen by a policy without any rule for what comes in."""
    denied = [
        one["spec"]["podSelector"]["matchLabels"]
        for one in of_kind(objects, "NetworkPolicy")
        if "Ingress" in one["spec"]["policyTypes"] and "ingress" not in one["spec"]
    ]
    for name, told in labels(objects).items():
        assert name == "condstore-restore" or any(selects(one, told) for one in denied), name


def test_policies_are_about_pods_that_are_there():
    """Who is chosen, and who is let in or out by labels of pods, exists in some overlay."""
    for one in of_kind(ALL, "NetworkPolicy"):
        assert chosen(ALL, one["spec"]["podSelector"].get("matchLabels", {})), one["metadata"]
        for peer in peers(one):
            told = peer.get("podSelector", {}).get("matchLabels", {})
            if told and told != {"app.kubernetes.io/name": "prometheus"}:
                assert chosen(ALL, told), (one["metadata"]["name"], told)


def peers(policy):
    """Yield who is let in and who may be asked."""
    for rule in policy["spec"].get("ingress", []):
        yield from rule["from"]
    for rule in policy["spec"].get("egress", []):
        yield from rule.get("to", [])


def test_only_the_logic_tier_the_upkeep_and_prometheus_reach_the_databuffer():
    """Of all pods, these; of other namespaces, pods of Prometheus in that of the monitoring."""
    (policy,) = [
        one
        for one in of_kind(rendered("prod"), "NetworkPolicy")
        if one["metadata"]["name"] == "databuff"
    ]
    (rule,) = policy["spec"]["ingress"]
    here = [peer for peer in rule["from"] if "namespaceSelector" not in peer]
    let_in = set().union(*(chosen(ALL, peer["podSelector"]["matchLabels"]) for peer in here))
    assert let_in == {"dslogic", "condstore-backup", "condstore-checkpoint", "condstore-compact"}
    (there,) = [peer for peer in rule["from"] if "namespaceSelector" in peer]
    assert there["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "prometheus"}
    assert policy["spec"]["policyTypes"] == ["Ingress"]


def test_who_may_be_asked_lets_in_who_asks():
    """Of each pair of our pods, one policy lets out and another lets in."""
    inside = of_kind(rendered("prod"), "NetworkPolicy")
    for asker, asked in (
        *(("dslogic", "databuff"), ("dscache", "dslogic"), ("condstore-backup", "databuff")),
        *(("condstore-checkpoint", "dslogic"), ("condstore-compact", "databuff")),
    ):
        told = labels(rendered("prod"))
        assert any(lets(one, "egress", "to", told[asker], told[asked]) for one in inside)
        assert any(lets(one, "ingress", "from", told[asked], told[asker]) for one in inside)


def lets(policy, kind, word, of, peer):
    """Whether a policy about the pods with labels `of` names those with the labels `peer`."""
    about = selects(policy["spec"]["podSelector"].get("matchLabels", {}), of)
    return about and any(
        "namespaceSelector" not in one and selects(one["podSelector"].get("matchLabels", {}), peer)
        for rule in policy["spec"].get(kind, [])
        for one in rule.get(word, [])
    )
