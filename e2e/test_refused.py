# SPDX-License-Identifier: Apache-2.0
"""What cannot be done is told, changes nothing, leaks nothing, and heals when its cause is gone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.cluster import ApiError, Object
from e2e.operator import Operator
from e2e.peers import Refused, present
from e2e.scene import (
    ADOPT,
    GROUP,
    KEY,
    OWN_KEY,
    SECRET,
    Scene,
    Site,
    account,
    condition,
    is_write,
    records,
    registration,
    secret_ref,
)

# What a server says and nobody may read anywhere: it could be anything.
MARKER = "words-of-a-stranger"
LOOPBACK = "--allow-address=127.0.0.0/8"
ADOPTED = {"metadata": {"annotations": {ADOPT: "true"}}}


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Run the operator with its periodic looks and its patience turned down."""
    return site.run("--leader-elect", "--secret-resync=1s", "--register-timeout=2s")


def slug(what: str) -> str:
    """Return a name for the object of a case."""
    return re.sub(r"[^a-z0-9]+", "-", what.lower())


def create_each(scene: Scene, cases: Iterable[str], **spec: Any) -> None:
    """Create an object for each case, with a Secret of its name."""
    for name in map(slug, cases):
        spec = {"host": scene.server.url, **spec, "accountSecretRef": secret_ref(name)}
        scene.create(registration(domains=["example.com"], name=name, **spec))


def told(obj: Object) -> str:
    """Return the message of Ready."""
    found = condition(obj, "Ready")
    assert found is not None
    return found["message"]


def assert_nothing_done(scene: Scene, *secrets: str) -> None:
    """See that later looks at the Secrets register nothing either, and write none."""
    mark = scene.plane.audit_mark()
    for name in map(slug, secrets):
        scene.wait_looks(1, name, mark)
    assert scene.posts() == []
    assert {event["objectRef"]["resource"] for event in scene.requests() if is_write(event)} == {
        "acmednsregistrations",
        "events",
    }


def stalls(scene: Scene, reason: str, kind: str = "SecretReady", name: str = "example") -> Object:
    """Wait until a condition, Ready and Stalled all give the reason; return the object."""
    failed = f"False/{reason}"
    wanted = {kind: failed, "Ready": failed, "Stalled": f"True/{reason}"}
    return scene.wait(name, **wanted)


# --- documents that cannot be read ---


FOREIGN = json.dumps(account())
REJECTED_BY_CERT_MANAGER = {
    "a list": "[]",
    "cut off": '{"example.com": ',
    "a trailing comma": f'{{"other.example": {FOREIGN},}}',
    "a byte order mark": f'\ufeff{{"other.example": {FOREIGN}}}',
    "an entry that is a string": f'{{"_meta": "{MARKER}", "other.example": {FOREIGN}}}',
    "a username that is a number": '{"example.com": {"username": 1}}',
    "a password that is a list": '{"example.com": {"password": []}}',
    "a server_url that is an object": '{"example.com": {"server_url": {}}}',
}


def test_documents_that_cert_manager_rejects_are_reported_and_untouched(scene: Scene) -> None:
    for what, text in REJECTED_BY_CERT_MANAGER.items():
        scene.put_secret({KEY: text}, slug(what))
        with pytest.raises(Refused, match="Error unmarshalling"):
            present(text.encode(), scene.server.url, "example.com", "x" * 43)
    before = scene.secrets()
    create_each(scene, REJECTED_BY_CERT_MANAGER)
    for what in REJECTED_BY_CERT_MANAGER:
        obj = stalls(scene, "SecretUnparsable", name=slug(what))
        assert KEY in told(obj)
        assert MARKER not in json.dumps(obj)
    assert_nothing_done(scene, *REJECTED_BY_CERT_MANAGER)
    assert scene.secrets() == before


UNREADABLE_BY_US: dict[str, tuple[str, str | bytes]] = {
    "a duplicate entry": (KEY, f'{{"a.example": {FOREIGN}, "a.example": {FOREIGN}}}'),
    "a number too large": (KEY, f'{{"a.example": {FOREIGN}, "_x": {{"n": 1e999}}}}'),
    "bytes that are no UTF-8": (KEY, b'{"_\xff": {}}'),
    "our own document, cut off": (OWN_KEY, '{"version": 1'),
    "our own document of a later version": (OWN_KEY, '{"version": 2, "keys": {}}'),
    "our own document, a list": (OWN_KEY, "[]"),
}


def test_documents_that_could_not_be_kept_are_reported_and_untouched(scene: Scene) -> None:
    for what, (key, text) in UNREADABLE_BY_US.items():
        data = {KEY: f'{{"a.example": {FOREIGN}}}', "more": "x", key: text}
        scene.put_secret(data, slug(what))
    before = scene.secrets()
    create_each(scene, UNREADABLE_BY_US)
    for what, (key, _) in UNREADABLE_BY_US.items():
        assert key in told(stalls(scene, "SecretUnparsable", name=slug(what)))
    assert_nothing_done(scene, *UNREADABLE_BY_US)
    assert scene.secrets() == before


def test_document_that_is_mended_is_used(scene: Scene) -> None:
    scene.put_secret({KEY: f'{{"other.example": {FOREIGN},}}'})
    scene.create(registration(scene.server.url, "example.com"))
    stalls(scene, "SecretUnparsable")
    scene.set_value(f'{{"other.example": {FOREIGN}}}')
    scene.wait_ready()
    assert scene.accounts()["other.example"] == account()


def test_document_that_breaks_later_is_reported_and_untouched(scene: Scene) -> None:
    obj = scene.register("example.com")
    good = scene.value()
    scene.set_value(good + b"}")
    broken = stalls(scene, "SecretUnparsable")
    assert records(broken) == records(obj)
    assert scene.value() == good + b"}"
    scene.set_value(good)
    scene.wait_ready()
    assert len(scene.posts()) == 1


# --- Secrets that cannot be used ---


def test_secret_of_another_type_is_not_used(scene: Scene) -> None:
    scene.put_secret({KEY: f'{{"other.example": {FOREIGN}}}'}, type="example.com/other", **ADOPTED)
    before = scene.secret()
    scene.create(registration(scene.server.url, "example.com"))
    obj = stalls(scene, "SecretNotAdopted")
    assert "Opaque" in told(obj)
    assert_nothing_done(scene, SECRET)
    assert scene.secret() == before


def test_immutable_secret_is_not_written_and_a_new_one_is(scene: Scene) -> None:
    data = {KEY: f'{{"other.example": {FOREIGN}}}'}
    scene.put_secret(data, immutable=True)
    scene.create(registration(scene.server.url, "example.com"))
    stalls(scene, "SecretImmutable")
    assert scene.posts() == []
    scene.delete_secret()
    scene.put_secret(data)
    scene.wait_ready()
    assert scene.accounts()["other.example"] == account()
    assert len(scene.posts()) == 1


EMPTY: dict[str, dict[str, bytes | str]] = {
    "without data": {},
    "with another key": {"other": "x"},
    "with an empty value": {KEY: ""},
    "with an empty object": {KEY: "{}"},
    "with null": {KEY: "null"},
    "without a whole account": {KEY: '{"other.example": {"username": "x"}, "_meta": {}}'},
}


def test_secrets_without_account_are_used_once_they_are_annotated(scene: Scene) -> None:
    for what, data in EMPTY.items():
        scene.put_secret(data, slug(what))
    before = scene.secrets()
    create_each(scene, EMPTY)
    for what in EMPTY:
        assert f"{ADOPT}=true" in told(stalls(scene, "SecretNotAdopted", name=slug(what)))
    assert_nothing_done(scene, *EMPTY)
    assert scene.secrets() == before
    for what in EMPTY:
        scene.patch_secret(ADOPTED, slug(what))
    for what in EMPTY:
        scene.wait_ready(slug(what))
        assert "labels" not in scene.secret(slug(what))["metadata"]
        assert "example.com" in scene.accounts(name=slug(what))
    assert len(scene.posts()) == len(EMPTY)


def test_secret_of_a_full_size_takes_no_claim(scene: Scene) -> None:
    big = "x" * (1024 * 1024 - 700)
    scene.put_secret({KEY: f'{{"other.example": {FOREIGN}}}', "big": big})
    scene.create(registration(scene.server.url, "example.com"))
    stalls(scene, "SecretTooLarge")
    assert scene.posts() == []
    scene.patch_secret({"data": {"big": None}})
    scene.wait_ready()
    assert len(scene.posts()) == 1


# --- accounts that cannot be used ---


FIELDS = ["username", "password", "subdomain", "fulldomain"]


def test_entries_without_a_field_are_reported_and_not_replaced(scene: Scene) -> None:
    for field in FIELDS:
        entry = {name: value for name, value in account(2).items() if name != field}
        scene.put_secret({KEY: json.dumps({"example.com": entry, "other": account()})}, field)
    before = {field: scene.value(name=field) for field in FIELDS}
    create_each(scene, FIELDS)
    for field in FIELDS:
        assert "example.com" in told(stalls(scene, "AccountIncomplete", "Registered", field))
    mark = scene.plane.audit_mark()
    for field in FIELDS:
        scene.wait_looks(1, field, mark)
    assert {field: scene.value(name=field) for field in FIELDS} == before
    for field in FIELDS:
        scene.set_value(json.dumps({"example.com": account(2)}), name=field)
    for field in FIELDS:
        assert records(scene.wait_ready(field)) == {"example.com": account(2)["fulldomain"]}
    assert scene.posts() == []


def test_changed_host_registers_nothing_and_the_old_one_is_ready_again(scene: Scene) -> None:
    obj = scene.register("example.com")
    secret = scene.secret()
    with AcmeDns() as another:
        scene.change(host=another.url)
        changed = stalls(scene, "HostChanged", "Registered")
        assert records(changed) == records(obj)
        scene.wait_looks(1)
        assert another.requests() == []
    assert scene.secret() == secret
    scene.change(host=scene.server.url.upper().replace("HTTP", "http") + "/")
    scene.wait_ready()
    assert scene.secret() == secret
    assert len(scene.posts()) == 1


def test_adopted_entry_of_another_host_is_not_used(scene: Scene) -> None:
    entry = account(server_url="https://other.example.net")
    document = json.dumps({"example.com": entry})
    scene.put_secret({KEY: document})
    scene.create(registration(scene.server.url, "example.com"))
    stalls(scene, "HostChanged", "Registered")
    scene.wait_looks(1)
    assert scene.posts() == []
    assert scene.value() == document.encode()


def test_deleted_secret_is_reported_and_ready_when_put_back(scene: Scene) -> None:
    obj = scene.register("example.com", "www.example.com")
    backup = scene.delete_secret()
    missing = scene.wait(Ready="False/AccountMissing")
    assert records(missing) == records(obj)
    scene.wait_looks(1)
    assert scene.plane.find("secret", SECRET, scene.namespace) is None
    scene.plane.api("POST", scene._secrets(), {**backup, "metadata": {"name": SECRET}})
    assert records(scene.wait_ready()) == records(obj)
    assert len(scene.posts()) == 2


def test_deleted_entry_is_reported_and_ready_when_put_back(scene: Scene) -> None:
    obj = scene.register("example.com", "www.example.com")
    before = scene.value()
    accounts = scene.accounts()
    gone = json.dumps({"www.example.com": accounts["www.example.com"]})
    scene.set_value(gone)
    missing = scene.wait(Ready="False/AccountMissing")
    assert "example.com" in told(missing)
    scene.wait_looks(1)
    assert scene.value() == gone.encode()
    scene.set_value(before)
    assert records(scene.wait_ready()) == records(obj)
    assert len(scene.posts()) == 2


# --- what cannot be acted on ---


TOO_LONG = "2" * 257


@pytest.mark.parametrize("act", ["probe", "rotate"])
def test_unsupported_act_is_told_and_nothing_is_done(scene: Scene, act: str) -> None:
    obj = registration(scene.server.url, "example.com")
    obj["metadata"]["annotations"] = {f"{GROUP}/{act}": TOO_LONG}
    scene.create(obj)
    assert f"{GROUP}/{act}" in told(stalls(scene, "UnsupportedField", "Registered"))
    assert scene.posts() == []
    assert scene.plane.find("secret", SECRET, scene.namespace) is None
    scene.annotate(act, None)
    scene.wait_ready()
    assert len(scene.posts()) == 1


def test_unsupported_act_on_a_registered_object_keeps_what_it_has(scene: Scene) -> None:
    obj = scene.register("example.com")
    secret = scene.secret()
    scene.annotate("rotate", TOO_LONG)
    assert records(stalls(scene, "UnsupportedField", "Registered")) == records(obj)
    assert scene.secret() == secret
    scene.annotate("rotate", None)
    scene.wait_ready()
    assert len(scene.posts()) == 1


def test_defaults_written_out_are_no_unsupported_fields(scene: Scene) -> None:
    none = {"suspend": False, "deletionPolicy": "Retain", "registrationAuth": {"headers": []}}
    scene.register("example.com", **none)


# --- addresses that must not be used ---


REFUSED = {
    "the metadata service of a cloud": "169.254.169.254",
    "the loopback of IPv6": "[::1]",
    "the metadata service, mapped to IPv6": "[::ffff:169.254.169.254]",
    "the metadata service, by NAT64": "[64:ff9b::a9fe:a9fe]",
    "a link-local address": "[fe80::1]",
    "no address at all": "0.0.0.0",
    "a multicast address": "224.0.0.1",
}


def test_addresses_that_lead_inside_are_refused(scene: Scene) -> None:
    for what, address in REFUSED.items():
        create_each(scene, [what], host=f"http://{address}:8080")
    for what in REFUSED:
        obj = stalls(scene, "HostAddressRefused", "Registered", slug(what))
        assert "--allow-address" in told(obj)
    assert_nothing_done(scene, *REFUSED)


@pytest.mark.parametrize("number", ["2130706433", "0x7f000001", "127.1", "017700000001"])
def test_address_in_disguise_is_refused_by_the_schema(scene: Scene, number: str) -> None:
    with pytest.raises(ApiError, match="ends in a number") as caught:
        scene.create(registration(f"http://{number}:8080", "example.com"))
    assert caught.value.status == 422


@pytest.fixture
def strict(site: Site) -> Operator:
    """Run the operator without leave to use loopback addresses."""
    return site.run("--leader-elect", "--secret-resync=1s", without=LOOPBACK)


@pytest.mark.usefixtures("strict")
def test_loopback_is_refused_unless_it_is_allowed(scene: Scene, site: Site) -> None:
    port = scene.server.url.rsplit(":", 1)[1]
    hosts = {"address": "127.0.0.1", "mapped": "[::ffff:127.0.0.1]", "name": "localhost"}
    for name, host in hosts.items():
        scene.create(registration(f"http://{host}:{port}", f"{name}.example.com", name=name))
    for name in hosts:
        stalls(scene, "HostAddressRefused", "Registered", name)
    assert_nothing_done(scene, SECRET)
    assert scene.server.requests() == []
    site.run("--leader-elect", "--secret-resync=1s")
    scene.wait_ready("address")
    scene.wait_ready("name")
