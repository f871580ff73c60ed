# SPDX-License-Identifier: Apache-2.0
"""Every answer of a server, and every way in which none comes: docs/server-answers.md by row."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.cluster import Object
from e2e.operator import Operator
from e2e.peers import ROOT
from e2e.pki import Authority, CertificateFiles
from e2e.process import free_ports
from e2e.rude import confined, full_queue, name_server
from e2e.scene import KEY, SECRET, Scene, Site, account, condition, registration

# What a server says and nobody may read anywhere: it could be anything.
MARKER = "words-of-a-stranger"
SILENT = "silent.test"


# --- the table ---


@dataclass(frozen=True)
class Row:
    """What a row promises."""

    answer: str
    reason: str
    lost: bool
    message: str


def read_rows(page: str, first: str) -> list[Row]:
    """Return the rows of the page's table whose first column is called so."""
    text = (ROOT / "docs" / page).read_text()
    table = text.split(f"| {first} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    return [Row(answer, reason, lost == "yes", told) for answer, reason, lost, told in cells]


ROWS = {row.answer: row for row in read_rows("server-answers.md", "the server's answer")}
UNSEEN = read_rows("server-answers.md", "when")


# --- how each answer is brought about ---


class Town:
    """The servers of these tests and what they need."""

    def __init__(self, directory: Path, stack: contextlib.ExitStack) -> None:
        """Make the authority that the operator trusts, one that it does not, and a name server."""
        self.known = Authority(directory / "known")
        self.unknown = Authority(directory / "unknown")
        resolver = stack.enter_context(name_server(SILENT))
        self.program = confined(directory, resolver, self.known.ca_file)

    @property
    def good(self) -> CertificateFiles:
        """A certificate that the operator trusts."""
        return self.known.server("good", ["127.0.0.1"])


@dataclass
class Stage:
    """What a cause may use: the test's scene, the town, and a stack of what ends with the test."""

    scene: Scene
    town: Town
    stack: contextlib.ExitStack

    def serve_tls(self, files: CertificateFiles, **fault: Any) -> str:
        """Run another stand-in with a certificate; return its URL."""
        server = self.stack.enter_context(AcmeDns(tls=(files.certificate, files.key)))
        if fault:
            server.fault(**fault)
        return server.url


# Makes a server answer so, and returns the URL for spec.host.
Cause = Callable[[Stage], str]


def fault(kind: str, **more: Any) -> Cause:
    """Have the stand-in do something to the answer."""

    def bring_about(stage: Stage) -> str:
        stage.scene.server.fault(kind, **more)
        return stage.scene.server.url

    return bring_about


def answers(status: int, body: Any = f"<b>{MARKER}</b>", **more: Any) -> Cause:
    """Have it answer with this status."""
    return fault("answer", status=status, body=body, **more)


def mangles(remove: list[str] | None = None, **fields: Any) -> Cause:
    """Have it make an account and spoil the answer."""
    return fault("mangle", remove=remove or [], fields=fields)


def raw(body: str, **more: Any) -> Cause:
    """Have it write these bytes."""
    return fault("raw", body=body, **more)


def settings(**values: Any) -> Cause:
    """Have it behave as acme-dns does when it is set so."""

    def bring_about(stage: Stage) -> str:
        stage.scene.server.settings(**values)
        return stage.scene.server.url

    return bring_about


def both(register: Cause, health: Cause) -> Cause:
    """Bring about two things at one server."""

    def bring_about(stage: Stage) -> str:
        register(stage)
        return health(stage)

    return bring_about


def health(status: int, body: str = MARKER) -> Cause:
    """Have GET /health answer so."""
    return answers(status, body, path="/health")


def page(status: int, title: str) -> Cause:
    """Have a reverse proxy's error page answer."""
    text = f"<html><head><title>{status} {title}</title></head><body>{MARKER}</body></html>\r\n"
    return answers(status, text, content_type="text/html")


FULLDOMAINS = {
    "that is a number": 1,
    "of another subdomain": f"{MARKER}.auth.test",
    "that is its subdomain alone": account()["subdomain"],
    "with a dot at its end": f"{account()['fulldomain']}.",
    "with markup": f"{account()['subdomain']}.<b>{MARKER}</b>",
    "with a line feed": f"{account()['fulldomain']}\n{MARKER}",
    "of another script": f"{account()['subdomain']}.\u0430uth.test",
    "that is too long": f"{account()['subdomain']}." + ".".join(["x" * 60] * 5),
}
MAKES_LINE = f"{MARKER}\nX-Injected: 1"
HEAD = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n"
HUGE_HEAD = HEAD + f"X-Long: {MARKER * 100}\r\n" * 100
CAUSES: dict[str, dict[str, Cause]] = {
    "201 with an account": {
        "as acme-dns": settings(),
        "as a proxy": answers(200, account()),
    },
    "200 with anything else": {
        "a web page": page(200, "Welcome"),
        "nothing": answers(200, ""),
    },
    "201 without a JSON object": {
        "text": answers(201),
        "nothing": answers(201, ""),
        "204": answers(204, ""),
        "half a head": raw(HEAD),
        "a list": answers(201, [account()]),
        "half an object": answers(201, json.dumps(account(more=MARKER))[:-1]),
        "two objects": answers(201, json.dumps(account()) * 2),
    },
    "201 without a proper username": {
        "an error": answers(201, {"error": MARKER}),
        "none": mangles(["username"]),
        "a number": mangles(username=1),
        "no UUID": mangles(username=MARKER),
    },
    "201 without a proper password": {
        "none": mangles(["password"]),
        "null": mangles(password=None),
        "nothing in it": mangles(password=""),
        "a line feed": mangles(password=MAKES_LINE),
        "too long": mangles(password=MARKER * 20),
    },
    "201 without a proper subdomain": {
        "none": mangles(["subdomain"]),
        "a list": mangles(subdomain=[MARKER]),
        "no UUID": mangles(subdomain=MARKER),
    },
    "201 without a proper fulldomain": {
        "none": mangles(["fulldomain"]),
        **{what: answers(201, account(fulldomain=name)) for what, name in FULLDOMAINS.items()},
    },
    "201 without a proper allowfrom": {
        "no network": mangles(allowfrom=[MARKER]),
        "a text": mangles(allowfrom=MARKER),
        "numbers": mangles(allowfrom=[1]),
    },
    "201 with more than 16 KiB": {
        "of a length": fault("huge", status=201, filler=MARKER),
        "without end": fault("huge", status=201, filler=MARKER, chunked=True, bytes=1 << 30),
        "in an account": mangles(more=MARKER * 1000),
        "in its head": raw(f"{HUGE_HEAD}\r\n"),
    },
    "3xx": {
        "301": answers(301, headers={"Location": f"https://{MARKER}.test/register"}),
        "302": answers(302, headers={"Location": f"http://{MARKER}.test/"}),
        "307": answers(307, headers={"Location": "/register"}),
        "without a location": answers(304, ""),
    },
    "400 `invalid_allowfrom_cidr`": {
        "as acme-dns": answers(400, {"error": "invalid_allowfrom_cidr"}),
    },
    "400 `malformed_json_payload`": {
        "as acme-dns": answers(400, {"error": "malformed_json_payload"}),
    },
    "400 to plain HTTP at an HTTPS port": {
        "as Go": answers(400, "Client sent an HTTP request to an HTTPS server.\n"),
        "as nginx": page(400, "The plain HTTP request was sent to HTTPS port"),
    },
    "401": {
        "of a proxy": settings(basic_auth="user:password"),
        "as acme-dns": answers(401, {"error": "forbidden"}),
        "with a realm": answers(401, headers={"WWW-Authenticate": f'Basic realm="{MARKER}"'}),
    },
    "403": {"of a proxy": settings(required_headers={"X-Token": "it"})},
    "404 or 405, and /health is acme-dns'": {
        "404": settings(registration_disabled=True),
        "405": answers(405, "Method Not Allowed\n"),
    },
    "404 or 405, and /health is not": {
        "no path": fault("answer", path="*", status=404, body=MARKER),
        "a web site": both(answers(405), health(200)),
        "a wall": both(answers(404), health(302)),
    },
    "404 or 405, and /health tells nothing": {
        "error": both(page(404, "Not Found"), health(502)),
        "hang-up": both(answers(405), fault("drop", path="/health")),
    },
    "407": {"a page": page(407, "Proxy Authentication Required")},
    "429": {
        "bare": answers(429),
        "in seconds": answers(429, headers={"Retry-After": "60"}),
        "at a date": answers(429, headers={"Retry-After": "Fri, 31 Dec 2399 23:59:59 GMT"}),
    },
    "any other 4xx": {
        "400": answers(400),
        "408": page(408, "Request Time-out"),
        "413": page(413, "Request Entity Too Large"),
        "418": answers(418),
    },
    "502": {"a page": page(502, "Bad Gateway")},
    "503": {
        "a page": page(503, "Service Temporarily Unavailable"),
        "and when": answers(503, headers={"Retry-After": "60"}),
        "and nonsense": answers(503, headers={"Retry-After": MARKER}),
    },
    "504": {"a page": page(504, "Gateway Time-out")},
    "500, any other 5xx": {
        "500": settings(database_failure=f"database or disk is full {MARKER}"),
        "no JSON": settings(database_failure=f'near "{MARKER}": syntax error'),
        "507": answers(507),
        "huge": fault("huge", status=500, filler=MARKER),
    },
    "no such name in DNS": {"a name": lambda _: "http://nowhere.test"},
    "DNS is silent": {"a name": lambda _: f"http://acme-dns.{SILENT}"},
    "connection refused": {"a free port": lambda _: f"http://127.0.0.1:{free_ports(1)[0]}"},
    "connection not taken in time": {
        "http": lambda stage: f"http://{stage.stack.enter_context(full_queue())}",
        "https": lambda stage: f"https://{stage.stack.enter_context(full_queue())}",
    },
    "no TLS at this port": {
        "http": lambda stage: stage.scene.server.url.replace("http:", "https:"),
    },
    "TLS handshake not done in time": {
        "silence": lambda stage: f"https://{stage.scene.server.silent_host()}",
    },
    "certificate of an unknown authority": {
        "unknown": lambda stage: stage.serve_tls(stage.town.unknown.server("x", ["127.0.0.1"])),
    },
    "certificate that has expired": {
        "expired": lambda stage: stage.serve_tls(
            stage.town.known.server("expired", ["127.0.0.1"], expired=True)
        ),
    },
    "certificate for another name": {
        "a name": lambda stage: stage.serve_tls(stage.town.known.server("y", ["other.test"])),
        "an address": lambda stage: stage.serve_tls(stage.town.known.server("z", ["127.0.0.2"])),
    },
    "request read, and no whole answer in time": {
        "never read": lambda stage: f"http://{stage.scene.server.silent_host()}",
        "nothing": fault("silent"),
        "half a head": raw(HEAD, hold=True),
        "half a body": raw(f'{HEAD}Content-Length: 200\r\n\r\n{{"username": ', hold=True),
        "100 alone": raw("HTTP/1.1 100 Continue\r\n\r\n", hold=True),
        "drip": fault("drip", status=201, interval=0.5),
        "behind TLS": lambda stage: stage.serve_tls(stage.town.good, kind="silent"),
    },
    "request read, and the connection closed": {
        "hang-up": fault("drop"),
        "reset": fault("drop", reset=True),
        "half a body": fault("truncate"),
        "half a chunk": raw(f"{HEAD}Transfer-Encoding: chunked\r\n\r\nff\r\n{{"),
        "behind TLS": lambda stage: stage.serve_tls(stage.town.good, kind="drop"),
    },
    "no HTTP": {
        "SMTP": raw(f"220 {MARKER} ESMTP\r\n"),
        "SSH": raw("SSH-2.0-OpenSSH_9.2\r\n"),
        "another HTTP": raw("HTTP/7.0 201 Created\r\n\r\n"),
        "no length": raw(f"{HEAD}Content-Length: {MARKER}\r\n\r\n"),
    },
}


# --- the tests ---


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """Make the authorities and the name server."""
    with contextlib.ExitStack() as stack:
        yield Town(tmp_path_factory.mktemp("town"), stack)


@pytest.fixture(autouse=True)
def operator(site: Site, town: Town) -> Operator:
    """Run the operator with the town's names and certificates, and its patience turned down."""
    flags = ("--leader-elect", "--secret-resync=1s", "--register-timeout=2s")
    return site.run(*flags, program=town.program)


@pytest.fixture
def stage(scene: Scene, town: Town) -> Iterator[Stage]:
    """End what a cause has started."""
    with contextlib.ExitStack() as stack:
        yield Stage(scene, town, stack)


def secret_values(scene: Scene) -> list[bytes]:
    """Return what the Secret holds; nothing while there is none."""
    if SECRET not in scene.secrets():
        return []
    return list(scene.plane.secret_data(SECRET, scene.namespace).values())


def assert_no_word_of_the_server(scene: Scene, operator: Operator, name: str = "example") -> None:
    """See that what it said is neither in the object nor in events, Secret or log."""
    shown = json.dumps([scene.get(name), scene.events(name)])
    assert MARKER not in shown
    kept = b"".join(secret_values(scene))
    assert MARKER.encode() not in kept
    assert MARKER not in operator.log.read_text()


def test_the_page_has_all_that_can_be_told_and_every_row_a_cause() -> None:
    assert list(CAUSES) == list(ROWS)
    source = (ROOT / "pkg/acmedns/acmedns_answer.c").read_text()
    table = source.split("rows[] = {", 1)[1].split("\n};", 1)[0]
    messages = re.findall(r'true,\s*"|false,\s*"', table)
    joined = re.sub(r'"\s+"', "", table)
    told = set(re.findall(r'(?:true|false),\s+"([^"]*)"\}', joined)) - {"registered"}
    assert len(messages) > len(told) > 30
    assert told <= {row.message for row in [*ROWS.values(), *UNSEEN]}


EACH = [(answer, what) for answer, causes in CAUSES.items() for what in causes]


@pytest.mark.parametrize(("answer", "what"), EACH, ids=[f"{a}: {w}" for a, w in EACH])
def test_answer(stage: Stage, operator: Operator, answer: str, what: str) -> None:
    scene, row = stage.scene, ROWS[answer]
    scene.create(registration(CAUSES[answer][what](stage), "example.com"))
    status = "True" if row.reason == "Registered" else "False"
    obj = scene.wait(Registered=f"{status}/{row.reason}")
    found = condition(obj, "Registered")
    assert found is not None and found["message"] == row.message
    if status == "True":
        return
    assert condition(obj, "Ready") == {**found, "type": "Ready"}
    event = scene.wait_event(row.reason)
    assert (event["type"], event["note"]) == ("Warning", row.message)
    assert_no_word_of_the_server(scene, operator)
    assert not any(b"password" in value for value in secret_values(scene))
    (assert_waits_if_lost if row.lost else assert_free_at_once)(scene)


def assert_free_at_once(scene: Scene) -> None:
    """See that another spec is acted on at once, nothing being counted as lost."""
    scene.server.clear(logs=False)
    scene.change(host=scene.server.url, allowFrom=["127.0.0.0/8"])
    scene.wait_ready()
    assert scene.own_document()["keys"][KEY]["example.com"].get("uncertain", 0) == 0


def assert_waits_if_lost(scene: Scene) -> None:
    """See that not even another spec is acted on while the account may still come to be."""
    before = len(scene.posts())
    scene.server.clear(logs=False)
    scene.change(allowFrom=["127.0.0.0/8"])
    scene.wait(Registered="Unknown/Registering")
    scene.wait_looks(1)
    assert len(scene.posts()) == before


# --- and what comes after ---


UNAVAILABLE, DOWN, NETWORK = "RegistrationUnavailable", "ServerUnavailable", "InvalidAllowFrom"


def test_network_that_the_server_refuses_can_be_changed_at_once(scene: Scene) -> None:
    scene.server.fault("answer", status=400, body={"error": "invalid_allowfrom_cidr"}, times=1)
    scene.create(registration(scene.server.url, "example.com", allowFrom=["10.0.0.0/8"]))
    scene.wait(Registered=f"False/{NETWORK}", Stalled=f"True/{NETWORK}")
    scene.change(allowFrom=["127.0.0.0/8"])
    scene.wait_ready()
    scene.present("example.com")


def test_server_that_does_not_listen_is_told_and_used_when_it_does(scene: Scene) -> None:
    (port,) = free_ports(1)
    scene.create(registration(f"http://127.0.0.1:{port}", "example.com"))
    scene.wait(Ready=f"False/{DOWN}", Reconciling="True/ProgressingWithRetry")
    with AcmeDns(api=f"127.0.0.1:{port}") as late:
        scene.wait_ready()
        assert len(late.accounts()) == 1
    assert scene.own_document()["keys"][KEY]["example.com"].get("uncertain", 0) == 0


def test_refusal_of_one_host_does_not_hold_up_another(scene: Scene) -> None:
    scene.server.settings(registration_disabled=True)
    scene.create(registration(scene.server.url, "example.com"))
    scene.wait(Ready=f"False/{UNAVAILABLE}")
    with AcmeDns() as another:
        scene.change(host=another.url)
        scene.wait_ready(timeout=20)
        assert len(another.accounts()) == 1


def answer_later(status: int, pause: str) -> Object:
    """Return a fault: the server asks for a pause."""
    return {"kind": "answer", "status": status, "headers": {"Retry-After": pause}}


HEALS: dict[str, tuple[Object, int, float]] = {
    # the fault; accounts that nobody knows of; seconds before the next try
    "disabled": ({"kind": "answer", "status": 404}, 0, 30),
    "denied": ({"kind": "answer", "status": 401}, 0, 30),
    "throttled": (answer_later(429, "33"), 0, 33),
    "overloaded": (answer_later(503, "34"), 1, 34),
    "failed": ({"kind": "answer", "status": 500, "body": MARKER, "commit": True}, 1, 30),
    "cut": ({"kind": "drop", "commit": True}, 1, 30),
    "mangled": ({"kind": "mangle", "remove": ["password"]}, 1, 30),
}


def fail_each(scene: Scene) -> None:
    """Have one object meet each fault once; its allowFrom tells its requests apart."""
    for i, (name, (fault, _, _)) in enumerate(HEALS.items()):
        scene.server.fault(**fault, times=1)
        networks = [f"10.{i}.0.0/16"]
        obj = registration(scene.server.url, f"{name}.example.com", name=name, allowFrom=networks)
        scene.create(obj)
        scene.wait(name, Ready="False")


def test_every_failure_heals_after_its_time_and_what_may_be_lost_is_counted(
    scene: Scene, operator: Operator
) -> None:
    """Wait once for what is waited for 30 s at least."""
    before = operator.metric("acmedns_accounts_possibly_orphaned_total")
    fail_each(scene)
    scene.wait_all_ready(len(HEALS), timeout=90)
    noted = scene.own_document()["keys"][KEY]
    for i, (name, (_, lost, pause)) in enumerate(HEALS.items()):
        posts = [post for post in scene.posts() if f"10.{i}.0.0/16" in post["body"]]
        assert len(posts) == 2
        assert posts[1]["time"] - posts[0]["time"] >= pause
        assert noted[f"{name}.example.com"].get("uncertain", 0) == lost
    lost = sum(each for _, each, _ in HEALS.values())
    made = sum(fault.get("commit", fault["kind"] == "mangle") for fault, _, _ in HEALS.values())
    assert len(scene.server.accounts()) == len(HEALS) + made
    assert operator.metric("acmedns_accounts_possibly_orphaned_total") - before == lost
    scene.wait_event("AccountPossiblyOrphaned", "cut")
    assert_no_word_of_the_server(scene, operator, "failed")
