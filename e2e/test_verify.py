# SPDX-License-Identifier: Apache-2.0
"""CNAMEs are looked up in real DNS servers; what they say is told, and nothing else is asked.

The twelve pitfalls of such a check have numbers in the names of their tests.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.acmedns.listeners import parse_address
from e2e.bind import Bind
from e2e.cluster import Object
from e2e.dns_relay import DnsRelay
from e2e.dns_server import DnsServer, Query
from e2e.operator import Operator
from e2e.process import eventually
from e2e.scene import PATIENCE, Scene, Site, condition, records, registration
from e2e.unbound import Unbound

ZONE = "example.test"
OWNER = f"_acme-challenge.{ZONE}"
VERIFY: Object = {"cname": {"verify": True}}
# Where a zone's NS record leads to.
NS_ADDRESS = "127.0.53.1"
# What a resolver may be asked for the account's sake: of its zone, never of a name in it.
OF_THE_ZONE = {Query("auth.test", "SOA"), Query("auth.test", "DS")}

StartBind = Callable[..., Bind]


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """End the DNS servers of a test."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start_bind(servers: ExitStack, tmp_path: Path, acme_dns: AcmeDns) -> StartBind:
    """Return what starts a BIND that has zones, and finds that of the stand-in."""

    def start(
        zones: Mapping[str, Sequence[str]] | None = None,
        name: str = "bind",
        delegated: bool = True,
    ) -> Bind:
        forward = {"auth.test": parse_address(acme_dns.dns)} if delegated else None
        bind = Bind(
            tmp_path / name,
            zones or {ZONE: []},
            forward=forward,
            recursion=True,
            negative_ttl=1,
        )
        return servers.enter_context(bind)

    return start


def run(site: Site, *resolvers: DnsServer) -> Operator:
    """Have the operator ask these."""
    asked = ",".join(f"{each.address}:{each.port}" for each in resolvers)
    return site.run("--leader-elect", f"--dns-resolvers={asked}")


def register(scene: Scene, *names: str) -> Object:
    """Register names whose CNAMEs are looked up."""
    return scene.register(*(names or (ZONE,)), **VERIFY)


def record(scene: Scene, number: int = 0) -> Object:
    """Return a record of the object."""
    found: Object = scene.get()["status"]["records"][number]
    return found


def verify(scene: Scene, value: str) -> Object:
    """Have the CNAMEs looked up and return the object when that is done."""
    scene.annotate("verify", value)
    return scene.wait_handled("verify", value)


def says(obj: Object, kind: str = "CNAMEReady") -> str:
    """Return what a condition says, as "True/CNAMEFound"."""
    found = condition(obj, kind)
    assert found is not None
    return f"{found['status']}/{found['reason']}"


def told(obj: Object) -> str:
    """Return the message of CNAMEReady."""
    found = condition(obj, "CNAMEReady")
    assert found is not None
    return str(found["message"])


def is_found(scene: Scene, value: str) -> bool:
    """Have it looked up, and return whether it is Found."""
    return says(verify(scene, value)) == "True/CNAMEFound"


# --- the pitfalls ---


def test_1_only_cname_at_the_owner_is_asked(
    scene: Scene, site: Site, start_bind: StartBind, servers: ExitStack, tmp_path: Path
) -> None:
    bind = start_bind()
    stubs = {ZONE: bind.socket_address, "auth.test": parse_address(scene.server.dns)}
    unbound = servers.enter_context(Unbound(tmp_path / "unbound", stubs))
    run(site, unbound)
    obj = register(scene)
    scene.wait(CNAMEReady="False/CNAMEMissing")
    bind.publish(obj)
    eventually(lambda: scene.get()["status"]["records"][0]["verification"] == "Found", 30, "Found")
    scene.wait(CNAMEReady="True/CNAMEFound")
    assert set(unbound.queries()) - OF_THE_ZONE == {Query(OWNER, "CNAME")}
    asked = {Query(each["name"].rstrip("."), each["type"]) for each in scene.server.queries()}
    assert asked <= OF_THE_ZONE


def test_2_names_have_no_case(scene: Scene, site: Site, start_bind: StartBind) -> None:
    bind = start_bind()
    run(site, bind)
    value = records(register(scene))[ZONE]
    bind.update(f"add {OWNER.upper()} 60 CNAME {value.upper()}.")
    assert is_found(scene, "1")
    assert record(scene)["observed"] == ""


def test_3_the_code_does_not_tell_what_is_there(
    scene: Scene, site: Site, start_bind: StartBind
) -> None:
    bind = start_bind()
    run(site, bind)
    register(scene)
    bind.update(f"add {OWNER} 60 CNAME gone.{ZONE}")
    assert says(verify(scene, "nxdomain behind it")) == "False/CNAMEMismatch"
    assert record(scene)["observed"] == f"gone.{ZONE}"
    bind.update(f"delete {OWNER}", f"add below.{OWNER} 60 TXT text")
    obj = verify(scene, "an empty name that exists")
    assert says(obj) == "False/CNAMEMissing"
    assert "no CNAME, but maybe another record" in told(obj)


def test_4_a_chain_may_lead_there(scene: Scene, site: Site, start_bind: StartBind) -> None:
    bind = start_bind({ZONE: [], "parked.test": []})
    run(site, bind)
    value = records(register(scene))[ZONE]
    bind.update(f"add {OWNER} 60 CNAME a.parked.test")
    bind.update("add a.parked.test 60 CNAME b.parked.test", f"add b.parked.test 60 CNAME {value}")
    assert is_found(scene, "1")
    bind.update("delete b.parked.test", "add b.parked.test 60 CNAME a.parked.test")
    obj = verify(scene, "in circles")
    assert says(obj) == "False/CNAMEMismatch"
    assert record(scene)["observed"] == "a.parked.test"


def test_5_a_wildcard_answers_for_the_owner(
    scene: Scene, site: Site, start_bind: StartBind
) -> None:
    bind = start_bind({ZONE: [f"*.{ZONE}. CNAME balancer.{ZONE}."]})
    run(site, bind)
    register(scene)
    obj = scene.wait(CNAMEReady="False/CNAMEMismatch")
    assert record(scene)["observed"] == f"balancer.{ZONE}"
    assert "the CNAME, or a wildcard's, leads to" in told(obj)


def test_6_another_record_is_in_the_way(scene: Scene, site: Site, start_bind: StartBind) -> None:
    bind = start_bind({ZONE: [f"{OWNER}. TXT left-behind"]})
    run(site, bind)
    register(scene)
    obj = scene.wait(CNAMEReady="False/CNAMEMissing")
    assert told(obj).startswith(f"{OWNER}: no CNAME, but maybe another record in its place (TXT")


def test_7_another_view_is_asked_by_name(scene: Scene, site: Site, start_bind: StartBind) -> None:
    inside, outside = start_bind(name="inside"), start_bind(name="outside")
    run(site, inside)
    obj = register(scene)
    outside.publish(obj)
    obj = verify(scene, "1")
    assert says(obj) == "False/CNAMEMissing"
    assert says(obj, "Ready") == "True/Ready"
    run(site, outside)
    assert is_found(scene, "2")


def test_7_a_server_that_refuses_is_no_verdict(
    scene: Scene, site: Site, servers: ExitStack, tmp_path: Path
) -> None:
    bind = servers.enter_context(Bind(tmp_path / "bind", {"elsewhere.test": []}))
    run(site, bind)
    register(scene)
    obj = scene.wait(CNAMEReady="Unknown/DNSUnavailable", Ready="True")
    assert "REFUSED" in told(obj)
    assert record(scene)["verification"] == "Unknown"


def test_8_a_cached_denial_is_waited_for(
    scene: Scene, site: Site, servers: ExitStack, tmp_path: Path
) -> None:
    bind = servers.enter_context(Bind(tmp_path / "bind", {ZONE: []}, negative_ttl=20))
    stubs = {ZONE: bind.socket_address, "auth.test": parse_address(scene.server.dns)}
    unbound = servers.enter_context(Unbound(tmp_path / "unbound", stubs))
    run(site, unbound)
    obj = register(scene)
    scene.wait(CNAMEReady="False/CNAMEMissing")
    bind.publish(obj)
    scene.wait(CNAMEReady="True/CNAMEFound", timeout=60)
    # Once while it was remembered that there is none, if at all, and once after that.
    assert 2 <= unbound.queries().count(Query(OWNER, "CNAME")) <= 3


def test_8_the_zone_s_own_servers_have_no_cache(
    scene: Scene, site: Site, servers: ExitStack, tmp_path: Path
) -> None:
    forward = {"auth.test": parse_address(scene.server.dns)}
    bind = Bind(tmp_path / "bind", {ZONE: []}, forward=forward, ns_address=NS_ADDRESS)
    servers.enter_context(bind)
    servers.enter_context(DnsRelay(NS_ADDRESS, bind.socket_address))
    stubs = {ZONE: bind.socket_address, "auth.test": parse_address(scene.server.dns)}
    unbound = servers.enter_context(Unbound(tmp_path / "unbound", stubs))
    resolvers = f"--dns-resolvers={unbound.address}:{unbound.port}"
    site.run("--leader-elect", resolvers, "--dns-mode=authoritative")
    obj = register(scene)
    scene.wait(CNAMEReady="False/CNAMEMissing")
    bind.publish(obj)
    # Its denial may be remembered for a minute.
    scene.wait(CNAMEReady="True/CNAMEFound", timeout=PATIENCE)
    assert Query(OWNER, "CNAME") not in unbound.queries()


def test_8_silence_is_no_verdict(scene: Scene, site: Site) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        site.run("--leader-elect", f"--dns-resolvers=127.0.0.1:{silent.getsockname()[1]}")
        register(scene)
        obj = scene.wait(CNAMEReady="Unknown/DNSUnavailable", Ready="True")
    assert told(obj) == f"{OWNER}: no answer in time"


def test_9_a_delegation_is_no_verdict(scene: Scene, site: Site, start_bind: StartBind) -> None:
    bind = start_bind({ZONE: [f"{OWNER}. NS ns.{OWNER}.", f"ns.{OWNER}. A 192.0.2.1"]})
    run(site, bind)
    register(scene)
    scene.wait(CNAMEReady="Unknown/DNSUnavailable", Ready="True")


def test_10_the_zone_of_the_server_is_not_delegated(
    scene: Scene, site: Site, start_bind: StartBind
) -> None:
    bind = start_bind(delegated=False)
    run(site, bind)
    bind.publish(register(scene))
    obj = verify(scene, "1")
    assert says(obj) == "False/ZoneNotDelegated"
    assert record(scene)["verification"] == "Found"
    assert told(obj).startswith(f"{OWNER}: leads to the zone auth.test: its parent zone")
    mended = start_bind(name="mended")
    mended.publish(obj)
    run(site, mended)
    # After a restart those that are not well are looked up within a minute.
    scene.wait(CNAMEReady="True/CNAMEFound", timeout=90)


def test_11_the_zone_of_the_server_is_signed(
    scene: Scene, site: Site, start_bind: StartBind
) -> None:
    parent = ["auth NS ns.auth", "ns.auth A 127.0.0.1", f"auth DS 12345 13 2 {'ab' * 32}"]
    bind = start_bind({ZONE: [], "test": parent})
    run(site, bind)
    bind.publish(register(scene))
    obj = verify(scene, "1")
    assert says(obj) == "False/ZoneSigned"
    assert record(scene)["verification"] == "Found"


def test_12_a_flattened_record_hides_the_cname(
    scene: Scene, site: Site, start_bind: StartBind
) -> None:
    bind = start_bind({ZONE: [f"{OWNER}. A 192.0.2.7"]})
    run(site, bind)
    register(scene)
    obj = scene.wait(CNAMEReady="False/CNAMEMissing")
    assert "maybe another record in its place (TXT, A)" in told(obj)


# --- over time ---


def test_drift_is_told_once_after_two_answers(
    scene: Scene, site: Site, start_bind: StartBind
) -> None:
    bind = start_bind()
    operator = run(site, bind)
    bind.publish(register(scene))
    assert is_found(scene, "1")
    before = record(scene)
    asked = bind.queries().count(Query(OWNER, "CNAME"))
    bind.update(f"delete {OWNER}", f"add {OWNER} 60 CNAME elsewhere.{ZONE}")
    obj = verify(scene, "2")
    assert says(obj) == "False/CNAMEMismatch"
    assert bind.queries().count(Query(OWNER, "CNAME")) == asked + 2
    assert record(scene)["lastTransitionTime"] > before["lastTransitionTime"]
    event = scene.wait_event("CNAMEMismatch")
    assert event["type"] == "Warning"
    assert [each["reason"] for each in scene.events()].count("CNAMEMismatch") == 1
    assert says(obj, "Ready") == "True/Ready"
    assert operator.metric("acmedns_cname_drifts_total") == 1


def test_a_restart_writes_nothing(scene: Scene, site: Site, start_bind: StartBind) -> None:
    bind = start_bind()
    run(site, bind)
    value = records(register(scene, ZONE, f"www.{ZONE}"))[ZONE]
    bind.update(f"add {OWNER} 60 CNAME {value}")
    obj = verify(scene, "1")
    assert says(obj) == "False/CNAMEMissing"
    site.vacate()
    mark = scene.plane.audit_mark()
    run(site, bind)
    scene.wait_looks(1, since=mark)
    verify(scene, "2")
    counts = scene.counts(since=mark)
    # The annotation is a change, and that it was handled is one write.
    assert counts["patch acmednsregistrations/status"] == 1


def test_each_new_value_of_the_annotation_looks_once(
    scene: Scene, site: Site, start_bind: StartBind
) -> None:
    bind = start_bind()
    run(site, bind)
    bind.publish(register(scene))
    assert is_found(scene, "1")
    bind.forget_queries()
    assert is_found(scene, "2")
    assert bind.queries().count(Query(OWNER, "CNAME")) == 1


def test_wildcard_and_apex_are_one_name(scene: Scene, site: Site, start_bind: StartBind) -> None:
    bind = start_bind()
    run(site, bind)
    scene.create(registration(scene.server.url, ZONE, f"*.{ZONE}", **VERIFY))
    bind.publish(scene.wait_ready())
    assert is_found(scene, "1")
    assert len(scene.get()["status"]["records"]) == 1
