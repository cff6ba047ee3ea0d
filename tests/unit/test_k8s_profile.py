"""No pod asks for more than it needs: Kubernetes' restricted profile, and what we add to it."""

import re

import pytest
from manifests import OVERLAYS, amount, containers, named, of_kind, rendered, templates

ALLOWED_VOLUMES = {
    *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim"),
    *("projected", "secret"),
}


@pytest.fixture(params=OVERLAYS)
def objects(request):
    """Return the objects of an overlay."""
    return rendered(request.param)


def test_pods_keep_to_the_restricted_profile(objects):
    """Each rule of the Pod Security Standards, restricted, holds."""
    for owner, template in templates(objects):
        pod = template["spec"]
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), owner
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"sysctls", "seLinuxOptions", "windowsOptions"} & context.keys()
        for volume in pod.get("volumes", []):
            assert volume.keys() - {"name"} <= ALLOWED_VOLUMES, owner
        assert not re.search(r"apparmor", str(template["metadata"].get("annotations")))


def test_containers_keep_to_the_restricted_profile(objects):
    """And each rule about containers."""
    for owner, _, one in containers(objects):
        context = one["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, owner
        assert context["capabilities"] == {"drop": ["ALL"]}, owner
        assert not {"privileged", "procMount", "runAsUser", "seLinuxOptions"} & context.keys()
        assert not [port for port in one.get("ports", []) if "hostPort" in port]


def test_nothing_is_written_but_where_a_volume_says(objects):
    """Root file systems are read-only; no pod may ask the API server."""
    for owner, pod, one in containers(objects):
        assert one["securityContext"]["readOnlyRootFilesystem"] is True, owner
        assert pod["automountServiceAccountToken"] is False, owner
        assert pod["enableServiceLinks"] is False, owner


def test_every_container_says_what_it_takes(objects):
    """Requests of all three, a limit of memory above it, none of CPU."""
    for owner, _, one in containers(objects):
        requests, limits = one["resources"]["requests"], one["resources"]["limits"]
        assert requests.keys() == {"cpu", "memory", "ephemeral-storage"}, owner
        assert limits.keys() == {"memory", "ephemeral-storage"}, owner
        for name, limit in limits.items():
            assert amount(requests[name]) < amount(limit), (owner, name)


def test_scratch_space_is_bounded_and_within_the_limit(objects):
    """Every emptyDir has a size; those on disk fit into what the container may take of it."""
    for owner, pod, one in containers(objects):
        empty = [volume["emptyDir"] for volume in pod["volumes"] if "emptyDir" in volume]
        on_disk = [amount(each["sizeLimit"]) for each in empty if each.get("medium") != "Memory"]
        assert sum(on_disk) < amount(one["resources"]["limits"]["ephemeral-storage"]), owner


def test_images_have_a_version(objects):
    """A tag that is not `latest`, so that a pod that is restarted is what it was."""
    for owner, _, one in containers(objects):
        name, _, tag = one["image"].rpartition(":")
        assert name, owner
        assert tag not in {"", "latest"}


def test_no_manifest_has_a_secret_in_it(objects):
    """A Secret is made where it is needed, of files that are in no repository."""
    for one in of_kind(objects, "Secret"):
        assert one["metadata"]["namespace"] == "condstore"
        assert objects == rendered("dev")
    for owner, _, container in containers(objects):
        for variable in container.get("env", []):
            assert "secretKeyRef" not in variable.get("valueFrom", {}), owner


@pytest.mark.parametrize("overlay", ["dev", "prod", "producers"])
def test_the_namespace_enforces_the_profile(overlay):
    """Whatever else is put there keeps to it too."""
    (namespace,) = of_kind(rendered(overlay), "Namespace")
    labels = namespace["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    for one in rendered(overlay):
        if one["kind"] != "Namespace":
            assert one["metadata"]["namespace"] == namespace["metadata"]["name"], one["kind"]


def test_volumes_are_not_walked_through_at_each_start(objects):
    """A pod with a claim changes its files' group only if the root has another."""
    for owner, template in templates(objects):
        pod = template["spec"]
        has = [each for each in pod.get("volumes", []) if "persistentVolumeClaim" in each]
        if has or owner == "databuff":
            assert pod["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch", owner


def test_claims_outlive_what_made_them():
    """Deleting the StatefulSet deletes no data."""
    for overlay in ("dev", "prod"):
        spec = named(rendered(overlay), "StatefulSet", "databuff")["spec"]
        kept = spec["persistentVolumeClaimRetentionPolicy"]
        assert kept == {"whenDeleted": "Retain", "whenScaled": "Retain"}
        assert spec["replicas"] == 1
