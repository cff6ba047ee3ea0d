"""The manifests under k8s/, rendered as `kubectl apply -k` would, and ways to look at them."""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from tools import tool

if TYPE_CHECKING:
    from collections.abc import Iterator

Object = dict[str, Any]

ROOT = Path(__file__).parents[1]
K8S = ROOT / "k8s"
OVERLAYS = tuple(sorted(path.name for path in (K8S / "overlays").iterdir()))
TEMPLATED = ("Deployment", "StatefulSet", "DaemonSet", "Job")
_SECRET = re.compile(r"^#\s+(mkdir -p|openssl) (.*)$", re.MULTILINE)


@functools.cache
def rendered(overlay: str) -> tuple[Object, ...]:
    """Return the objects of an overlay, with the secrets made that its comments tell to make."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "k8s"
        shutil.copytree(K8S, copy, ignore=shutil.ignore_patterns("secrets"))
        make_secrets(copy / "overlays" / overlay, copy.parent)
        return built(copy / "overlays" / overlay)


def built(kustomization: Path) -> tuple[Object, ...]:
    """Render one with the pinned kustomize."""
    command = [tool("kustomize"), "build", kustomization]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


def make_secrets(overlay: Path, at: Path) -> None:
    """Do what the comment of a kustomization says, in the folder that stands for the clone."""
    for verb, rest in _SECRET.findall((overlay / "kustomization.yaml").read_text()):
        subprocess.run(["bash", "-euc", f"{verb} {rest}"], cwd=at, check=True)


def of_kind(objects: tuple[Object, ...], *kinds: str) -> list[Object]:
    """Return those of some kinds."""
    return [one for one in objects if one["kind"] in kinds]


def named(objects: tuple[Object, ...], kind: str, name: str) -> Object:
    """Return the one of that kind and name; a generated name may have its suffix."""
    found = [
        one
        for one in of_kind(objects, kind)
        if re.fullmatch(rf"{name}(-[a-z0-9]{{10}})?", one["metadata"]["name"])
    ]
    assert len(found) == 1, f"{len(found)} of {kind} {name}"
    return found[0]


def templates(objects: tuple[Object, ...]) -> list[tuple[str, Object]]:
    """Return every pod template, of which there must be one, with the name of whose it is."""
    jobs = of_kind(objects, "CronJob")
    found = [
        *(
            (one["metadata"]["name"], one["spec"]["template"])
            for one in of_kind(objects, *TEMPLATED)
        ),
        *(
            (one["metadata"]["name"], one["spec"]["jobTemplate"]["spec"]["template"])
            for one in jobs
        ),
    ]
    assert found, "a test of all pods would try none"
    return found


def containers(objects: tuple[Object, ...]) -> Iterator[tuple[str, Object, Object]]:
    """Yield (what it belongs to, pod spec, container), those that prepare included."""
    for name, template in templates(objects):
        pod = template["spec"]
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            yield name, pod, container


def environment(objects: tuple[Object, ...], container: Object) -> dict[str, str]:
    """Return the variables that a container is started with."""
    found: dict[str, str] = {}
    for source in container.get("envFrom", []):
        found |= named(objects, "ConfigMap", source["configMapRef"]["name"])["data"]
    for variable in container.get("env", []):
        found[variable["name"]] = _value(objects, variable)
    return found


def _value(objects: tuple[Object, ...], variable: Object) -> str:
    if "value" in variable:
        return str(variable["value"])
    ref = variable["valueFrom"]["configMapKeyRef"]
    return str(named(objects, "ConfigMap", ref["name"])["data"][ref["key"]])


def dockerfile(image: str) -> str:
    """Return the Dockerfile of one of our images."""
    found = [path.read_text() for path in ROOT.glob("Dockerfile.*")]
    return next(text for text in found if re.search(rf"-t {image}\b", text))


def in_the_image(objects: tuple[Object, ...], container: Object) -> dict[str, str]:
    """Return the variables of the image, with those of the manifest over them."""
    image = container["image"].rpartition(":")[0].rpartition("/")[2]
    text = dockerfile(image).replace("\\\n", " ")
    told = " ".join(re.findall(r"^ENV (.*)$", text, re.MULTILINE))
    return dict(word.split("=", 1) for word in told.split()) | environment(objects, container)


def selects(selector: dict[str, str], labels: dict[str, str]) -> bool:
    """Whether all labels of a selector are there."""
    return selector.items() <= labels.items()


def amount(quantity: str) -> float:
    """Return a quantity of bytes or cores as a number: 128Mi, 250m."""
    units = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "": 1}
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(quantity)).groups()  # type: ignore[union-attr]
    return float(number) * units[unit]
