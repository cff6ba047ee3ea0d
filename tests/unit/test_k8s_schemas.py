"""Every rendered object is one that Kubernetes knows: the oldest version supported, the newest."""

import functools
import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from manifests import K8S, OVERLAYS, ROOT, built, make_secrets, rendered
from referencing import Registry, Resource

OLDEST, NEWEST = "1.30", kubernetes_validate.latest_version()
SCHEMAS = Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"


@functools.cache
def validator(version, kind, api_version):
    """Return what holds an object of a kind against a version's schema, unknown fields refused."""
    folder = SCHEMAS / f"v{version.removesuffix('.0')}.0-local-strict"
    group = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", api_version)
    path = folder / f"{kind.lower()}-{group}.json"
    assert path.exists(), f"Kubernetes {version} has no {kind} of {api_version}"
    schema = json.loads(path.read_text())
    return jsonschema.Draft202012Validator(schema, registry=definitions(folder))


@functools.cache
def definitions(folder):
    """Return what the schemas of a version refer to."""
    return (
        Resource.from_contents(json.loads((folder / "_definitions.json").read_text())) @ Registry()
    )


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_object_is_one_of_kubernetes(overlay, version):
    """No field is misspelt, none is of a wrong kind, and none is newer than what is promised."""
    wrong = [
        f"{one['kind']} {one['metadata']['name']}: {error.json_path}: {error.message[:200]}"
        for one in rendered(overlay)
        for error in validator(version, one["kind"], one["apiVersion"]).iter_errors(one)
    ]
    assert not wrong


def test_the_documentation_names_the_same_versions():
    """What is promised is what is tried."""
    text = (ROOT / "docs/kubernetes.md").read_text()
    assert f"Kubernetes {OLDEST} or newer" in text
    assert f"from {OLDEST} to {NEWEST.removesuffix('.0')}" in text


def test_a_misspelt_field_is_found():
    """The schemas are strict."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "a"},
        "spec": {"port": 1},
    }
    assert list(validator(NEWEST, "Service", "v1").iter_errors(service))


@pytest.mark.parametrize("overlay", ["dev", "prod"])
def test_kubectl_renders_the_same(overlay, tmp_path):
    """What `kubectl apply -k` makes of it is what is tested here, also with its newer kustomize."""
    if shutil.which("kubectl") is None:
        pytest.skip("no kubectl here; the documentation says that it is tried where there is one")
    shutil.copytree(K8S, tmp_path / "k8s", ignore=shutil.ignore_patterns("secrets"))
    folder = tmp_path / "k8s/overlays" / overlay
    make_secrets(folder, tmp_path)
    command = ["kubectl", "kustomize", folder]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert tuple(yaml.safe_load_all(told)) == built(folder)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_name_is_there_twice(overlay):
    """Kind, namespace and name are one object."""
    names = [
        (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
        for one in rendered(overlay)
    ]
    assert len(names) == len(set(names))


def test_the_monitoring_joins_what_is_there(tmp_path):
    """`k8s/monitoring` may be a resource beside the overlay for a cluster."""
    (tmp_path / "both").mkdir()
    together = {"resources": ["../k8s/overlays/prod", "../k8s/monitoring"]}
    (tmp_path / "k8s").symlink_to(K8S)
    (tmp_path / "both/kustomization.yaml").write_text(yaml.safe_dump(together))
    assert len(built(tmp_path / "both")) > len(rendered("prod"))
