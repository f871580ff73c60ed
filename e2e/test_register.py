# SPDX-License-Identifier: Apache-2.0
"""From an AcmeDnsRegistration to a Secret that cert-manager takes and a status that says so."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
import yaml

from e2e.acmedns.client import AcmeDns
from e2e.cluster import Object
from e2e.operator import Operator
from e2e.peers import ROOT, Refused
from e2e.process import eventually
from e2e.scene import (
    GROUP,
    KEY,
    OWN_KEY,
    SECRET,
    Scene,
    Site,
    account,
    condition,
    records,
    registration,
    secret_ref,
    summary,
)

FIELDS = ["allowfrom", "fulldomain", "password", "server_url", "subdomain", "username"]


@pytest.fixture(autouse=True)
def operator(site: Site) -> Operator:
    """Run the operator as the Deployment does."""
    return site.run("--leader-elect")


def subdomains(accounts: Object) -> set[str]:
    """Return the subdomains in a document of accounts."""
    return {each["subdomain"] for each in accounts.values()}


def at_server(scene: Scene) -> set[str]:
    """Return the subdomains of all accounts at the stand-in."""
    return {each["subdomain"] for each in scene.server.accounts()}


# --- one object ---


def test_one_domain_costs_six_requests_and_one_registration(scene: Scene) -> None:
    scene.register("example.com")
    scene.wait_event("Registered")
    eventually(lambda: "create events" in scene.counts(), 10, "the event is in the audit log")
    assert [summary(event) for event in scene.requests()] == [
        "patch acmednsregistrations/status",
        "get secrets",
        "create secrets",
        "patch secrets",
        "patch acmednsregistrations/status",
        "create events",
    ]
    assert [post["status"] for post in scene.posts()] == [201]


def test_entry_is_the_answer_of_the_server_and_its_url(scene: Scene) -> None:
    obj = scene.register("example.com")
    (made,) = scene.server.accounts()
    (entry,) = scene.accounts().values()
    assert sorted(entry) == FIELDS
    assert entry["server_url"] == scene.server.url
    for field in ("username", "subdomain", "fulldomain", "allowfrom"):
        assert entry[field] == made[field]
    (record,) = obj["status"]["records"]
    assert record.pop("lastTransitionTime") >= obj["metadata"]["creationTimestamp"]
    assert record == {
        "domain": "example.com",
        "name": "_acme-challenge.example.com",
        "type": "CNAME",
        "value": entry["fulldomain"],
        "verification": "Unknown",
        "observed": "",
    }


def test_secret_made_by_the_operator_says_so_and_holds_two_documents(scene: Scene) -> None:
    scene.register("example.com")
    secret = scene.secret()
    assert secret["type"] == "Opaque"
    assert secret["metadata"]["labels"] == {"app.kubernetes.io/managed-by": "acme-dns-operator"}
    assert "ownerReferences" not in secret["metadata"]
    assert sorted(secret["data"]) == sorted([KEY, OWN_KEY])
    assert scene.own_document()["created"] is True


def test_cert_manager_presents_for_every_domain_of_the_sample(scene: Scene) -> None:
    sample = yaml.safe_load((ROOT / "manifests/samples/registration.yaml").read_text())
    spec = {**sample["spec"], "host": scene.server.url}
    spec["allowFrom"] = [*spec["allowFrom"], "127.0.0.0/8"]  # where the judge calls from
    scene.create({**sample, "metadata": {"name": "example"}, "spec": spec})
    targets = records(scene.wait_ready())
    assert "*.example.com" in spec["domains"]
    for domain in spec["domains"]:
        used = scene.present(domain)
        assert targets[domain.removeprefix("*.")] == f"{used}.{scene.server.domain}"
    with pytest.raises(Refused, match="not found"):
        scene.present("example.org")


def test_domains_are_folded_to_the_names_that_cert_manager_looks_up(scene: Scene) -> None:
    obj = scene.register("example.com", "*.example.com", "*.WWW.example.ORG.", "www.example.org")
    assert list(records(obj)) == ["example.com", "www.example.org"]
    assert sorted(scene.accounts()) == ["example.com", "www.example.org"]
    assert len(scene.server.accounts()) == 2
    assert scene.present("*.example.com") == scene.present("example.com")


def test_hundred_domains_in_one_object(scene: Scene) -> None:
    domains = [f"d{i}.example.com" for i in range(100)]
    scene.create(registration(scene.server.url, *domains))
    obj = scene.wait_ready(timeout=60)
    accounts = scene.accounts()
    assert list(records(obj)) == domains
    assert sorted(accounts) == sorted(domains)
    assert len(at_server(scene)) == 100
    assert subdomains(accounts) == at_server(scene)
    assert scene.present("d99.example.com") == accounts["d99.example.com"]["subdomain"]


def test_account_is_shared_by_all_domains_of_a_shared_object(scene: Scene) -> None:
    obj = scene.register("example.com", "www.example.com", accountPolicy="Shared")
    assert len(scene.posts()) == 1
    assert len(set(records(obj).values())) == 1
    assert scene.present("example.com") == scene.present("www.example.com")


def test_domain_added_to_a_shared_object_reuses_its_account(scene: Scene) -> None:
    scene.register("example.com", accountPolicy="Shared")
    before = scene.accounts()
    scene.change(domains=["example.com", "www.example.com"])
    scene.wait_ready()
    assert scene.accounts() == {**before, "www.example.com": before["example.com"]}
    assert len(scene.posts()) == 1


def test_domain_added_to_an_object_gets_an_account_of_its_own(scene: Scene) -> None:
    scene.register("example.com")
    before = scene.accounts()
    scene.change(domains=["www.example.com", "example.com"])
    obj = scene.wait_ready()
    accounts = scene.accounts()
    assert accounts["example.com"] == before["example.com"]
    assert list(records(obj)) == ["www.example.com", "example.com"]
    assert len(at_server(scene)) == 2


def test_domain_taken_from_an_object_keeps_its_account(scene: Scene) -> None:
    scene.register("example.com", "www.example.com")
    before = scene.accounts()
    scene.change(domains=["example.com"])
    obj = scene.wait_ready()
    assert list(records(obj)) == ["example.com"]
    assert scene.accounts() == before
    scene.change(domains=["example.com", "www.example.com"])
    scene.wait_ready()
    assert scene.accounts() == before
    assert len(scene.posts()) == 2


def test_allow_from_reaches_the_server_and_the_entry(scene: Scene) -> None:
    networks = ["10.244.0.0/16", "192.0.2.7/32", "2001:db8::/32"]
    scene.register("example.com", allowFrom=networks)
    (post,) = scene.posts()
    assert json.loads(post["body"]) == {"allowfrom": networks}
    assert scene.server.accounts()[0]["allowfrom"] == networks
    assert scene.accounts()["example.com"]["allowfrom"] == networks
    with pytest.raises(Refused, match="401"):
        scene.present("example.com")


def test_path_in_host_is_kept_and_a_slash_at_its_end_is_not(scene: Scene) -> None:
    scene.server.settings(prefix="/acme")
    scene.create(registration(f"{scene.server.url}/acme/", "example.com"))
    scene.wait_ready()
    (post,) = scene.server.requests()
    assert post["path"] == "/acme/register"
    assert scene.accounts()["example.com"]["server_url"] == f"{scene.server.url}/acme"


# --- many objects, namespaces and keys ---


def test_two_hundred_objects_on_one_secret_cost_at_most_a_write_each(scene: Scene) -> None:
    names = [f"app{i}" for i in range(200)]
    for name in names:
        scene.create(registration(scene.server.url, f"{name}.example.com", name=name))
    scene.wait_all_ready(200, timeout=90)
    accounts = scene.accounts()
    assert sorted(accounts) == sorted(f"{name}.example.com" for name in names)
    assert len(scene.posts()) == len(at_server(scene)) == 200
    assert subdomains(accounts) == at_server(scene)
    counts = scene.counts()
    assert counts["create secrets"] == 1
    assert counts["create secrets"] + counts["patch secrets"] <= 200
    for name in (names[0], names[117], names[-1]):
        scene.present(f"{name}.example.com")


def test_namespaces_with_the_same_names_have_accounts_of_their_own(scene: Scene) -> None:
    other = scene.another_namespace()
    for namespace in (scene.namespace, other):
        scene.create(registration(scene.server.url, "example.com"), namespace)
    for namespace in (scene.namespace, other):
        scene.wait_ready(namespace=namespace)
    both = [scene.present("example.com", namespace=ns) for ns in (scene.namespace, other)]
    assert set(both) == at_server(scene)
    assert len(set(both)) == 2


def test_keys_of_one_secret_are_apart(scene: Scene) -> None:
    for key in ("a.json", "b.json"):
        ref = secret_ref(key=key)
        scene.register("example.com", name=key[0], accountSecretRef=ref)
    assert sorted(scene.secret()["data"]) == ["a.json", OWN_KEY, "b.json"]
    both = [scene.present("example.com", key=key) for key in ("a.json", "b.json")]
    assert set(both) == at_server(scene)
    assert len(set(both)) == 2


def test_objects_of_a_silent_server_delay_no_other(scene: Scene) -> None:
    silent = scene.server.silent_host()
    names = [f"dead{i}" for i in range(8)]
    for name in names:
        scene.create(registration(f"http://{silent}", f"{name}.example.com", name=name))
    eventually(lambda: scene.server.silent_hosts()[-1]["accepted"] == 4, 5, "all slots are taken")
    scene.register("alive.example.com", name="alive")
    found = [condition(scene.get(name), "Ready") for name in names]
    assert {each["status"] for each in found if each} == {"Unknown"}


# --- Secrets that were there before ---


def handmade(scene: Scene, domain: str = "example.com") -> str:
    """Register by hand, and write down the answer as cert-manager's documentation shows it."""
    made = scene.server.register()
    scene.server.clear()
    order = ("username", "password", "fulldomain", "subdomain", "allowfrom")
    return json.dumps({domain: {field: made[field] for field in order}}, indent=2) + "\n"


def test_secret_made_by_hand_is_adopted_as_it_is(scene: Scene) -> None:
    document = handmade(scene)
    scene.put_secret({KEY: document})
    obj = scene.register("example.com", "*.example.com")
    assert scene.value() == document.encode()
    assert records(obj) == {"example.com": json.loads(document)["example.com"]["fulldomain"]}
    entry = scene.own_document()["keys"][KEY]["example.com"]
    assert (entry["origin"], entry["host"]) == ("adopted", scene.server.url)
    assert scene.posts() == []
    assert "labels" not in scene.secret()["metadata"]
    scene.present("example.com")


def test_fields_of_a_handmade_secret_may_have_any_case(scene: Scene) -> None:
    fields = json.loads(handmade(scene))["example.com"]
    document = json.dumps({"example.com": {name.title(): v for name, v in fields.items()}})
    scene.put_secret({KEY: document})
    scene.register("example.com")
    assert scene.value() == document.encode()
    assert scene.posts() == []
    scene.present("example.com")


def test_foreign_entries_keys_and_metadata_are_kept(scene: Scene) -> None:
    foreign = {
        "_meta": {"note": "kept", "number": 12345678901234567, "list": [1, None, {"a": 1.5}]},
        "other.example": account(7, extra={"deep": [True]}, allowfrom=["::1/128"]),
        "*.literal.example": {},
        "null.example": None,
    }
    metadata = {"labels": {"mine": "yes"}, "annotations": {"note": "kept"}}
    scene.put_secret({KEY: json.dumps(foreign), "raw": b"\x00\xff{"}, metadata=metadata)
    scene.register("example.com")
    accounts = scene.accounts()
    assert sorted(accounts.pop("example.com")) == FIELDS
    assert accounts == foreign
    secret = scene.secret()
    assert scene.value("raw") == b"\x00\xff{"
    assert secret["metadata"]["labels"] == metadata["labels"]
    assert secret["metadata"]["annotations"] == metadata["annotations"]
    scene.present("example.com")


def test_members_of_our_own_document_that_we_do_not_know_are_kept(scene: Scene) -> None:
    scene.register("example.com")
    own = scene.own_document()
    own["future"] = {"a": [1, {"b": None}]}
    own["keys"][KEY]["future"] = {"kept": True}
    own["keys"][KEY]["example.com"]["spare"] = [{"subdomain": "x"}]
    own["keys"]["other"] = {"example.com": {"owner": "somebody", "later": {}}}
    scene.set_value(json.dumps(own), OWN_KEY)
    scene.change(domains=["example.com", "www.example.com"])
    scene.wait_ready()
    after = scene.own_document()
    assert after["keys"][KEY].pop("www.example.com")["origin"] == "registered"
    assert after == own


def test_entry_of_another_host_in_the_secret_is_not_ours_to_use(scene: Scene) -> None:
    foreign = {"www.example.com": account(3, server_url="https://other.example.net")}
    scene.put_secret({KEY: json.dumps(foreign)})
    scene.register("example.com")
    assert scene.accounts()["www.example.com"] == foreign["www.example.com"]


# --- what people see ---


def test_kubectl_waits_and_shows_the_object(scene: Scene) -> None:
    kubectl = scene.plane.kubectl
    where = f"--namespace={scene.namespace}"
    manifest = registration(scene.server.url, "example.com", "www.example.com")
    kubectl("apply", where, "-f", "-", input=json.dumps(manifest))
    scene.plane.wait("adr", "example", "condition=Ready", scene.namespace)
    heads, row = kubectl("get", "adr", where, "-o", "wide").stdout.splitlines()
    assert re.split(r"\s{2,}", heads.strip()) == [
        *("NAME", "READY", "CNAME", "REASON", "AGE", "HOST", "SECRET", "RECORD", "TARGET")
    ]
    target = scene.accounts()["example.com"]["fulldomain"]
    cells = row.split()
    assert cells[:4] == ["example", "True", "Unknown", "Ready"]
    assert cells[5:] == [scene.server.url, SECRET, "_acme-challenge.example.com", target]
    path = "jsonpath={range .status.records[*]}{.name} {.type} {.value}{'\\n'}{end}"
    lines = kubectl("get", "adr", "example", where, "-o", path).stdout.splitlines()
    assert lines == [
        f"_acme-challenge.{domain} CNAME {entry['fulldomain']}"
        for domain, entry in sorted(scene.accounts().items())
    ]


def test_conditions_speak_of_the_present_generation(scene: Scene) -> None:
    scene.register("example.com")
    scene.change(domains=["example.com", "www.example.com"])
    obj = scene.wait_ready()
    generation = obj["metadata"]["generation"]
    found = {each["type"]: each for each in obj["status"]["conditions"]}
    assert generation == obj["status"]["observedGeneration"] == 2
    assert {each["observedGeneration"] for each in found.values()} == {generation}
    assert {kind: each["status"] for kind, each in found.items()} == {
        "Ready": "True",
        "Registered": "True",
        "SecretReady": "True",
        "CredentialsValid": "Unknown",
        "CNAMEReady": "Unknown",
    }


def test_ready_stays_since_when_it_was_so(scene: Scene) -> None:
    before = condition(scene.register("example.com"), "Ready")
    scene.change(domains=["example.com", "www.example.com"])
    after = condition(scene.wait_ready(), "Ready")
    assert before is not None and after is not None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", after["lastTransitionTime"])
    assert after["lastTransitionTime"] >= before["lastTransitionTime"]


def test_event_tells_of_the_registration_once(scene: Scene) -> None:
    obj = scene.register("example.com")
    event = scene.wait_event("Registered")
    assert (event["type"], event["action"]) == ("Normal", "Register")
    assert event["regarding"]["uid"] == obj["metadata"]["uid"]
    assert event["reportingController"] == f"{GROUP}/acme-dns-operator"
    assert len(scene.events()) == 1
    described = scene.plane.kubectl("describe", "adr", "example", "-n", scene.namespace).stdout
    assert "Registered" in described.split("Events:")[1]


def test_operator_never_writes_the_spec_or_metadata(scene: Scene) -> None:
    made = scene.create(registration(scene.server.url, "Example.COM."))
    obj = scene.wait_ready()
    assert obj["spec"] == made["spec"]
    keep = ("uid", "generation", "labels", "annotations", "finalizers")
    for field in keep:
        assert obj["metadata"].get(field) == made["metadata"].get(field)


# --- what changes while a registration is under way ---


def hold(scene: Scene, *domains: str) -> None:
    """Create an object and have the server keep its answers."""
    scene.server.hold("after")
    scene.create(registration(scene.server.url, *domains))
    scene.server.wait_held(len(domains))


def test_account_for_a_domain_dropped_meanwhile_is_kept(scene: Scene) -> None:
    hold(scene, "example.com", "www.example.com")
    scene.change(domains=["www.example.com"])
    scene.server.release()
    assert list(records(scene.wait_ready())) == ["www.example.com"]
    eventually(lambda: subdomains(scene.accounts()) == at_server(scene), 10, "both are stored")
    scene.change(domains=["example.com", "www.example.com"])
    scene.wait_ready()
    assert len(scene.posts()) == 2


def test_account_of_an_object_deleted_meanwhile_is_kept(scene: Scene) -> None:
    hold(scene, "example.com")
    scene.delete()
    scene.server.release()
    eventually(lambda: KEY in scene.secret()["data"], 10, "the account is stored")
    scene.register("example.com")
    assert len(scene.posts()) == 1


def test_account_of_a_host_changed_meanwhile_is_kept_for_it(scene: Scene) -> None:
    hold(scene, "example.com")
    with AcmeDns() as another:
        scene.change(host=another.url)
        scene.server.release()
        scene.wait(Ready="False/HostChanged")
        assert another.requests() == []
    assert scene.accounts()["example.com"]["server_url"] == scene.server.url
    scene.change(host=scene.server.url)
    scene.wait_ready()
    assert len(scene.posts()) == 1


def test_account_is_stored_in_a_secret_deleted_meanwhile(scene: Scene) -> None:
    hold(scene, "example.com")
    scene.delete_secret()
    scene.server.release()
    scene.wait_ready()
    assert subdomains(scene.accounts()) == at_server(scene)


def test_entry_written_by_hand_meanwhile_stays_and_ours_is_counted(scene: Scene) -> None:
    hold(scene, "example.com")
    document = json.dumps({"example.com": account()})
    scene.set_value(document)
    scene.server.release()
    assert records(scene.wait_ready()) == {"example.com": account()["fulldomain"]}
    assert scene.value() == document.encode()
    assert scene.own_document()["keys"][KEY]["example.com"]["uncertain"] == 1
    scene.wait_event("AccountPossiblyOrphaned")


def test_secret_that_became_immutable_meanwhile_is_told_until_the_account_is_stored(
    scene: Scene,
) -> None:
    hold(scene, "example.com")
    scene.patch_secret({"immutable": True})
    scene.server.release()
    scene.wait(Ready="False/SecretImmutable", Stalled="True")
    backup = scene.delete_secret()
    scene.put_secret({OWN_KEY: base64.b64decode(backup["data"][OWN_KEY])})
    scene.wait_ready()
    assert subdomains(scene.accounts()) == at_server(scene)
    assert len(scene.posts()) == 1


# --- deleting, and who owns a domain ---


def test_object_made_again_reuses_the_accounts(scene: Scene) -> None:
    first = scene.register("example.com")
    before = scene.accounts()
    scene.delete()
    again = scene.register("example.com")
    assert again["metadata"]["uid"] != first["metadata"]["uid"]
    assert records(again) == records(first)
    assert scene.accounts() == before
    assert len(scene.posts()) == 1
    owner = scene.own_document()["keys"][KEY]["example.com"]["owner"]
    assert owner == again["metadata"]["uid"]


def test_deleted_object_leaves_the_secret_as_it_is(scene: Scene) -> None:
    scene.register("example.com")
    before = scene.secret()
    scene.delete()
    scene.register("www.example.com", name="other", accountSecretRef=secret_ref("other"))
    assert scene.secret() == before


def conflict(scene: Scene) -> tuple[Object, Any]:
    """Let two objects claim a domain, the second a moment later; return it with the accounts."""
    scene.register("example.com", "one.example.com", name="first")
    before = scene.accounts()
    scene.create(registration(scene.server.url, "example.com", "two.example.com", name="second"))
    second = scene.wait("second", Ready="False/DomainConflict", Registered="False/DomainConflict")
    return second, before


def test_domain_belongs_to_who_had_it_first(scene: Scene) -> None:
    second, before = conflict(scene)
    stalled = condition(second, "Stalled")
    assert stalled is not None and "example.com" in stalled["message"]
    assert "example.com" not in records(second)
    assert scene.accounts()["example.com"] == before["example.com"]
    first = condition(scene.get("first"), "Ready")
    assert first is not None and first["status"] == "True"
    scene.wait_event("DomainConflict", "second")


def test_conflict_ends_when_the_first_drops_the_domain(scene: Scene) -> None:
    _, before = conflict(scene)
    scene.change("first", domains=["one.example.com"])
    second = scene.wait_ready("second")
    assert condition(second, "Stalled") is None
    assert records(second)["example.com"] == before["example.com"]["fulldomain"]
    assert len(scene.posts()) == 3


def test_conflict_ends_when_the_first_is_deleted(scene: Scene) -> None:
    _, before = conflict(scene)
    scene.delete("first")
    second = scene.wait_ready("second")
    assert records(second)["example.com"] == before["example.com"]["fulldomain"]
    assert len(scene.posts()) == 3
    assert scene.own_document()["keys"][KEY]["example.com"]["owner"] == second["metadata"]["uid"]


def test_conflict_ends_when_the_second_drops_the_domain(scene: Scene) -> None:
    conflict(scene)
    scene.change("second", domains=["two.example.com"])
    scene.wait_ready("second")
    assert sorted(scene.accounts()) == ["example.com", "one.example.com", "two.example.com"]
    assert len(scene.posts()) == 3
