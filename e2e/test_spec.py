# SPDX-License-Identifier: Apache-2.0
"""Each field of the spec that can change: a change does something, and back again undoes it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest
import yaml

from e2e.cluster import Object
from e2e.operator import Operator
from e2e.peers import ROOT
from e2e.process import eventually
from e2e.scene import GROUP, SECRET, Scene, Site, condition, records, registration


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Run the operator as the Deployment does."""
    return site.run("--leader-elect")


def types(obj: Object) -> dict[str, str]:
    """Return the status of each condition."""
    return {each["type"]: each["status"] for each in obj["status"].get("conditions", [])}


def observed(scene: Scene) -> Object:
    """Wait until the operator has seen the object as it is now."""

    def seen() -> bool:
        obj = scene.get()
        return bool(obj["status"]["observedGeneration"] == obj["metadata"]["generation"])

    eventually(seen, 30, "observedGeneration follows")
    return scene.get()


# --- the table ---


class Row(NamedTuple):
    """What is changed in the spec, and what is to be seen of it."""

    change: Object
    seen: Callable[[Scene], bool]


def says(status: str, reason: str, kind: str = "Ready") -> Callable[[Scene], bool]:
    """Return whether a condition says so of the present spec."""

    def seen(scene: Scene) -> bool:
        found = condition(scene.get(), kind)
        return found is not None and (found["status"], found["reason"]) == (status, reason)

    return seen


def has_tag(kind: str) -> Callable[[Scene], bool]:
    """Return whether the Secret has the label, or annotation."""

    def seen(scene: Scene) -> bool:
        return bool(scene.secret()["metadata"].get(kind, {}).get("mine") == "yes")

    return seen


def has_one_record(scene: Scene) -> bool:
    """Return whether a record went."""
    return len(records(scene.get())) == 1


def has_finalizer(scene: Scene) -> bool:
    """Return whether the operator holds the object."""
    return f"{GROUP}/accounts" in scene.get()["metadata"].get("finalizers", [])


def looks_dns_up(scene: Scene) -> bool:
    """Return whether DNS was asked; nothing answers there."""
    cname = condition(scene.get(), "CNAMEReady")
    return cname is not None and cname["reason"] == "DNSUnavailable"


def is_left_alone(scene: Scene) -> bool:
    """Return whether the spec was seen, and conditions speak of the one before."""
    obj = scene.get()
    same = obj["status"]["observedGeneration"] == obj["metadata"]["generation"]
    return bool(same) and condition(obj, "Ready") is None


NAMES = ["example.com", "example.org"]
# A registration that is to be made: references are not looked at before.
MORE: Object = {"domains": [*NAMES, "example.net"]}
ABSENT: Object = {"name": "absent", "key": "k"}
HEADER: Object = {"name": "X-Token", "secretKeyRef": ABSENT}
BAD_REFERENCE = says("False", "InvalidReference")
ROTATION = says("True", "RotationNeeded")
TABLE = {
    "host": Row({"host": "https://other.example.net"}, says("False", "HostChanged")),
    "domains": Row({"domains": NAMES[:1]}, has_one_record),
    "allowFrom": Row({"allowFrom": ["10.0.0.0/8"]}, ROTATION),
    "accountPolicy": Row({"accountPolicy": "Shared"}, ROTATION),
    "registrationAuth.basic": Row(
        {"registrationAuth": {"basic": {"secretRef": {"name": "absent"}}}, **MORE}, BAD_REFERENCE
    ),
    "registrationAuth.headers": Row(
        {"registrationAuth": {"headers": [HEADER]}, **MORE}, BAD_REFERENCE
    ),
    "caBundle": Row({"caBundle": base64.b64encode(b"no PEM").decode(), **MORE}, BAD_REFERENCE),
    "caBundleRef": Row({"caBundleRef": ABSENT, **MORE}, BAD_REFERENCE),
    "secretTemplate.labels": Row(
        {"secretTemplate": {"labels": {"mine": "yes"}}}, has_tag("labels")
    ),
    "secretTemplate.annotations": Row(
        {"secretTemplate": {"annotations": {"mine": "yes"}}}, has_tag("annotations")
    ),
    "deletionPolicy": Row({"deletionPolicy": "Delete"}, has_finalizer),
    "cname.verify": Row({"cname": {"verify": True}}, looks_dns_up),
    # Nothing may be handed over unless the operator's flag says so: see test_dns_endpoint.py.
    "cname.dnsEndpoint": Row(
        {"cname": {"dnsEndpoint": {}}}, says("False", "DNSEndpointNotAllowed", "CNAMEReady")
    ),
    "suspend": Row({"suspend": True}, is_left_alone),
}
EXCEPTED = {
    "accountSecretRef": "immutable; test_crd.py sees its change refused",
}
# Their members do different things; those of other objects belong together.
DIVIDED = ("registrationAuth", "secretTemplate", "cname")


def schema_fields() -> Iterator[str]:
    """Yield the fields of the spec, as the schema has them."""
    file = ROOT / f"manifests/crd/{GROUP}_acmednsregistrations.yaml"
    version = yaml.safe_load(file.read_text())["spec"]["versions"][0]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    for name, schema in spec.items():
        if name in DIVIDED:
            yield from (f"{name}.{member}" for member in schema["properties"])
        else:
            yield name


def test_the_table_has_every_field() -> None:
    assert sorted(schema_fields()) == sorted([*TABLE, *EXCEPTED])


def whole(scene: Scene) -> Object:
    """Return all that a change could leave behind."""
    obj, secret = scene.get(), scene.secret()
    told = ("type", "status", "reason", "message")
    return {
        "conditions": [[each[k] for k in told] for each in obj["status"]["conditions"]],
        "records": [{**each, "lastTransitionTime": None} for each in obj["status"]["records"]],
        "finalizers": obj["metadata"].get("finalizers", []),
        "documents": secret["data"],
        "metadata": {kind: secret["metadata"].get(kind, {}) for kind in ("labels", "annotations")},
        "accounts": len(scene.server.accounts()),
    }


def undo(change: Object, spec: Object) -> Object:
    """Return the change that brings back what a spec had; a merge keeps what it does not name."""

    def value(field: str) -> object:
        before, after = spec.get(field), change[field]
        both = isinstance(before, dict) and isinstance(after, dict)
        return {**dict.fromkeys(after), **before} if both else before

    return {field: value(field) for field in change}


@pytest.mark.parametrize(("change", "seen"), TABLE.values(), ids=TABLE)
def test_a_change_is_seen_and_back_again_nothing_is_left(
    scene: Scene, change: Object, seen: Callable[[Scene], bool]
) -> None:
    spec = scene.register(*NAMES)["spec"]
    before = whole(scene)
    scene.change(**change)
    eventually(lambda: seen(scene), 30, f"{change} is seen")
    scene.change(**undo(change, spec))
    scene.wait(Ready="True/Ready")
    eventually(lambda: whole(scene) == before, 30, "all is as it was")


# --- suspend ---


def test_a_suspended_object_is_seen_and_nothing_is_done(scene: Scene) -> None:
    scene.create(registration(scene.server.url, "example.com", suspend=True))
    scene.wait(Ready="Unknown/Suspended", CNAMEReady="Unknown/Suspended")
    assert scene.posts() == []
    assert scene.plane.find("secret", SECRET, scene.namespace) is None
    assert "get secrets" not in scene.counts()
    scene.change(suspend=False)
    scene.wait_ready()
    assert len(scene.posts()) == 1


def test_suspend_keeps_what_status_says_and_holds_up_what_is_new(scene: Scene) -> None:
    before = scene.register("example.com")
    scene.change(suspend=True, domains=["example.com", "example.org"])
    suspended = observed(scene)
    assert types(suspended) == types(before)
    assert records(suspended) == records(before)
    assert len(scene.posts()) == 1
    scene.change(suspend=False)
    assert records(scene.wait_ready()).keys() == {"example.com", "example.org"}
    assert len(scene.posts()) == 2
