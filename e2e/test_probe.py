# SPDX-License-Identifier: Apache-2.0
"""Servers are asked whether they still take the accounts; what they say is told, nothing more."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.cluster import Object
from e2e.operator import Operator
from e2e.pki import Authority
from e2e.process import eventually
from e2e.scene import (
    GROUP,
    KEY,
    Scene,
    Site,
    account,
    condition,
    registration,
    secret_ref,
)
from e2e.test_answers import read_rows

ON_REQUEST = (
    "--leader-elect",
    "--secret-resync=1s",
    "--register-timeout=2s",
    "--probe-interval=0s",
)
ALWAYS = (*ON_REQUEST[:-1], "--probe-interval=1s")
ROWS = {row.answer: row for row in read_rows("server-answers.md", "the answer to /update")}


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Ask when told to."""
    return site.run(*ON_REQUEST)


def probe(scene: Scene, value: str, name: str = "example") -> Object:
    """Ask for a probe and wait until it is done."""
    scene.annotate("probe", value, name)
    return scene.wait_handled("probe", value, name)


def verdict(obj: Object) -> str:
    """Return what CredentialsValid says, as "True/Accepted"."""
    found = condition(obj, "CredentialsValid")
    assert found is not None
    return f"{found['status']}/{found['reason']}"


def told(obj: Object) -> str:
    """Return its message."""
    found = condition(obj, "CredentialsValid")
    assert found is not None
    return str(found["message"])


def probes(server: AcmeDns) -> list[Object]:
    """Return the probes that a server got."""
    return server.requests("/update")


def adopt(scene: Scene, entry: Object, name: str = "example") -> Object:
    """Make an object whose Secret holds an entry for its domain."""
    secret = f"secret-of-{name}"
    scene.put_secret({KEY: json.dumps({"example.com": entry})}, secret)
    return scene.register("example.com", name=name, accountSecretRef=secret_ref(secret))


def made_by(server: AcmeDns, **more: Any) -> Object:
    """Return an account of a server, as acme-dns answers it."""
    return server.register() | more


# --- alive, dead, and back ---


def test_account_that_the_server_has_forgotten_is_told_and_never_replaced(
    scene: Scene, site: Site
) -> None:
    site.run(*ALWAYS)
    scene.register("example.com", "www.example.com")
    obj = scene.wait(Ready="True", CredentialsValid="True/Accepted")
    before, entry = scene.secret(), scene.accounts()["www.example.com"]
    scene.server.forget(entry["subdomain"])
    scene.wait(Ready="False/CredentialsRejected", CredentialsValid="False/CredentialsRejected")
    stalled = scene.wait(Registered="True", SecretReady="True", Stalled="True/CredentialsRejected")
    assert told(stalled) == "www.example.com: the server does not take the credentials"
    assert stalled["status"]["records"] == obj["status"]["records"]
    assert scene.wait_event("CredentialsRejected")["type"] == "Warning"
    asked = len(probes(scene.server))
    scene.server.wait_requests(asked + 6, "/update")
    assert scene.secret() == before and len(scene.posts()) == 2
    # As a backup of the server would.
    scene.server.fault("answer", path="/update", status=400, body={"error": "bad_txt"})
    scene.wait(Ready="True", CredentialsValid="True/Accepted")
    assert scene.secret() == before and len(scene.posts()) == 2


def test_rotation_heals(scene: Scene) -> None:
    scene.register("example.com")
    scene.server.forget(scene.accounts()["example.com"]["subdomain"])
    assert verdict(probe(scene, "1")) == "False/CredentialsRejected"
    scene.annotate("rotate", "1")
    assert verdict(scene.wait_ready()) == "Unknown/NotProbed"
    assert verdict(probe(scene, "2")) == "True/Accepted"
    assert len(scene.posts()) == 2


# --- on request ---


def test_each_value_is_done_once(scene: Scene) -> None:
    obj = scene.register("example.com", "*.example.com", "www.example.com")
    assert verdict(obj) == "Unknown/NotProbed" and probes(scene.server) == []
    assert verdict(probe(scene, "1")) == "True/Accepted"
    assert len(probes(scene.server)) == 2
    scene.wait_looks(2)
    scene.change(suspend=True)
    scene.change(suspend=None)
    scene.wait_looks(2)
    assert len(probes(scene.server)) == 2
    probe(scene, "2")
    assert len(probes(scene.server)) == 4


def test_shared_account_is_asked_for_once(scene: Scene) -> None:
    scene.register("example.com", "www.example.com", accountPolicy="Shared")
    assert verdict(probe(scene, "1")) == "True/Accepted"
    assert len(probes(scene.server)) == 1


def test_way_of_a_new_object_is_no_longer(scene: Scene, site: Site) -> None:
    site.run(*ON_REQUEST[:-1])
    scene.register("example.com")
    scene.wait_event("Registered")
    assert sum(scene.counts().values()) <= 6
    assert probes(scene.server) == []


def test_suspended_object_is_not_asked_for(scene: Scene, site: Site) -> None:
    site.run(*ALWAYS)
    scene.register("example.com")
    scene.register("www.example.com", name="other", accountSecretRef=secret_ref("other"))
    scene.change(suspend=True)
    eventually(lambda: scene.get()["status"]["observedGeneration"] == 2, 30, "it is seen")
    subdomain = scene.accounts()["example.com"]["subdomain"]
    scene.server.forget(subdomain)
    scene.server.forget(scene.accounts(name="other")["www.example.com"]["subdomain"])
    scene.wait("other", CredentialsValid="False")
    assert condition(scene.get(), "Stalled") is None


# --- every answer ---


ANSWERS: dict[str, dict[str, Any]] = {
    "400 `bad_txt`": {"status": 400, "body": {"error": "bad_txt"}},
    "401 `forbidden`": {"status": 401, "body": {"error": "forbidden"}},
    "any other 401": {"status": 401, "body": "<b>login</b>"},
    "2xx": {"status": 200, "body": {"txt": ""}},
    "3xx": {"status": 307, "headers": {"Location": "/elsewhere"}},
    "403": {"status": 403},
    "404 or 405": {"status": 404},
    "407": {"status": 407},
    "429": {"status": 429},
    "any other 4xx": {"status": 400, "body": "malformed"},
    "502 to 504": {"status": 503},
    "any other 5xx": {"status": 500, "body": {"error": "db_error"}},
}


def test_the_table_is_complete() -> None:
    assert ROWS.keys() == ANSWERS.keys()


def test_answers(scene: Scene) -> None:
    scene.register("example.com")
    for number, (answer, fault) in enumerate(ANSWERS.items()):
        rule = scene.server.fault("answer", path="/update", **fault)
        obj = probe(scene, str(number))
        row = ROWS[answer]
        prefix = "" if row.reason == "Accepted" else "example.com: "
        assert (verdict(obj).split("/")[1], told(obj)) == (row.reason, prefix + row.message)
        scene.server.unfault(rule)
    assert len(probes(scene.server)) == len(ANSWERS)
    assert len(scene.posts()) == 1


def test_server_that_is_away_makes_known_credentials_unknown_for_who_asks(scene: Scene) -> None:
    scene.register("example.com")
    assert verdict(probe(scene, "1")) == "True/Accepted"
    scene.server.stop()
    try:
        assert verdict(probe(scene, "2")) == "Unknown/ServerUnavailable"
        scene.wait_ready()
    finally:
        scene.server.start()
    assert verdict(probe(scene, "3")) == "True/Accepted"


def test_what_is_known_outlives_a_failed_probe_but_not_many(scene: Scene, site: Site) -> None:
    scene.register("example.com")
    probe(scene, "1")
    site.run(*ALWAYS)
    mark = scene.plane.audit_mark()
    scene.server.fault("answer", path="/update", status=503, times=2)
    scene.server.wait_requests(len(probes(scene.server)) + 5, "/update", timeout=30)
    assert scene.counts(since=mark)["patch acmednsregistrations/status"] == 0
    scene.server.fault("answer", path="/update", status=503)
    scene.wait(CredentialsValid="Unknown/ServerUnavailable", Ready="True")
    mark, asked = scene.plane.audit_mark(), len(probes(scene.server))
    scene.server.wait_requests(asked + 5, "/update", timeout=30)
    assert scene.counts(since=mark)["patch acmednsregistrations/status"] == 0


def test_host_that_is_no_acme_dns_is_asked_once(scene: Scene, site: Site) -> None:
    scene.register("example.com")
    site.run(*ALWAYS)
    scene.server.fault("answer", path="/update", status=200, body="{}")
    scene.wait(CredentialsValid="Unknown/ProbeUnsupported")
    asked = len(probes(scene.server))
    scene.register("www.example.com", name="other", accountSecretRef=secret_ref("other"))
    scene.wait("other", CredentialsValid="Unknown/ProbeUnsupported")
    scene.wait_looks(3)
    assert len(probes(scene.server)) == asked + 1
    scene.server.unfault()
    scene.change(allowFrom=["192.0.2.0/24"])
    scene.wait(CredentialsValid="True/Accepted")


# --- addresses ---


def test_allow_from_may_leave_the_operator_out(scene: Scene) -> None:
    scene.register("example.com", allowFrom=["192.0.2.0/24"])
    obj = probe(scene, "1")
    assert verdict(obj) == "Unknown/AddressNotAllowed"
    assert told(obj).startswith("example.com: the server does not take the credentials: ")
    assert verdict(scene.wait_ready()) == "Unknown/AddressNotAllowed"


# --- whose credentials go where ---


def test_entry_without_server_url_is_asked_for_if_its_secret_says_where(scene: Scene) -> None:
    adopt(scene, made_by(scene.server))
    obj = probe(scene, "1")
    assert verdict(obj) == "Unknown/HostUnknown"
    assert told(obj).startswith("example.com: its entry in the Secret has no server_url")
    where = {"metadata": {"annotations": {f"{GROUP}/host": "https://other.test"}}}
    scene.patch_secret(where, "secret-of-example")
    assert verdict(probe(scene, "2")) == "Unknown/HostUnknown"
    assert probes(scene.server) == []
    where["metadata"]["annotations"][f"{GROUP}/host"] = f"{scene.server.url.upper()}//"
    scene.patch_secret(where, "secret-of-example")
    assert verdict(probe(scene, "3")) == "True/Accepted"
    entry = scene.accounts(name="secret-of-example")["example.com"]
    assert len(probes(scene.server)) == 1 and "server_url" not in entry


def test_credentials_go_to_their_own_host_only(scene: Scene) -> None:
    with AcmeDns() as other:
        scene.register("example.com")
        scene.change(host=other.url)
        scene.wait(Ready="False/HostChanged")
        scene.annotate("probe", "1")
        adopt(scene, made_by(other, server_url=scene.server.url), "witness")
        assert verdict(probe(scene, "1", "witness")) == "False/CredentialsRejected"
        scene.wait_looks(2)
        assert len(probes(scene.server)) == 1 and other.requests("/update") == []
        assert "probe" not in scene.get()["status"].get("lastHandled", {})


@pytest.mark.parametrize("password", ["a\nX-Evil: 1", "x" * 2000, "\t"])
def test_odd_password_is_not_sent(scene: Scene, password: str) -> None:
    adopt(scene, account(password=password, server_url=scene.server.url))
    obj = probe(scene, "1")
    assert verdict(obj) == "Unknown/ProbeUnsupported"
    assert probes(scene.server) == []
    assert scene.accounts(name="secret-of-example")["example.com"]["password"] == password


def test_login_of_registration_is_not_shown(scene: Scene) -> None:
    login = {"username": "u", "password": "p"}
    scene.plane.api(
        "POST",
        f"/api/v1/namespaces/{scene.namespace}/secrets",
        {
            "metadata": {
                "name": "login",
                "annotations": {f"{GROUP}/credentials-for": scene.server.url},
            },
            "type": "kubernetes.io/basic-auth",
            "stringData": login,
        },
    )
    scene.register("example.com", registrationAuth={"basic": {"secretRef": {"name": "login"}}})
    assert verdict(probe(scene, "1")) == "True/Accepted"
    names = [{name.lower() for name in each["headers"]} for each in probes(scene.server)]
    assert names and not [each for each in names if "authorization" in each]
    assert [each for each in scene.posts() if "Authorization" in each["headers"]]


def test_private_ca_is_trusted_here_too(scene: Scene, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    files = authority.server("server", ["127.0.0.1"])
    with AcmeDns(tls=(files.certificate, files.key), ca=authority.ca_file) as server:
        scene.plane.api(
            "POST",
            f"/api/v1/namespaces/{scene.namespace}/configmaps",
            {
                "metadata": {"name": "ca"},
                "data": {"ca.crt": Path(authority.ca_file).read_text()},
            },
        )
        bundle = {"kind": "ConfigMap", "name": "ca", "key": "ca.crt"}
        scene.create(registration(server.url, "example.com", caBundleRef=bundle))
        scene.wait_ready()
        assert verdict(probe(scene, "1")) == "True/Accepted"
        scene.change(caBundleRef=None)
        obj = probe(scene, "2")
        assert verdict(obj) == "Unknown/ServerUnavailable" and "not trusted" in told(obj)
        assert len(server.requests("/update")) == 1


# --- after a restart ---


def test_restart_asks_nobody_at_once(scene: Scene, site: Site) -> None:
    scene.register("example.com")
    probe(scene, "1")
    asked = len(probes(scene.server))
    site.run(*ON_REQUEST[:-1])
    scene.wait_looks(2)
    assert len(probes(scene.server)) == asked
    assert verdict(scene.get()) == "True/Accepted"
    assert Counter(each["path"] for each in scene.server.requests())["/register"] == 1
