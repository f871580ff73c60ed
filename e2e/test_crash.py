# SPDX-License-Identifier: Apache-2.0
"""Killed or ended at any point of its work, the operator loses and doubles no account unseen."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.acmedns.client import AcmeDns
from e2e.cluster import ApiError, Object
from e2e.gateway import Gateway, behind
from e2e.operator import NAMESPACE, Operator
from e2e.process import eventually
from e2e.scene import KEY, SECRET, Scene, Site, records, registration

DOMAIN = "example.com"
# A claim of a dead process is taken over after ten seconds more.
TIMEOUT = "--register-timeout=1s"
TAKEOVER = 60.0

VISIT = "patch acmednsregistrations/status"
READ = "get secrets"
CLAIM = "create secrets"
STORE = "patch secrets"
EVENT = "create events"


# --- one operator, brought to a point and killed there ---


@dataclass(frozen=True)
class Left:
    """What there is: of the Secret, of status, and how many accounts at the server."""

    secret: str = "absent"  # absent, claimed, stored
    status: str = "unvisited"  # unvisited, visited, ready
    accounts: int = 0


class Case:
    """An operator for one namespace, and one object there whose accounts can be told apart."""

    def __init__(self, site: Site, gateway: Gateway, server: AcmeDns, number: int) -> None:
        """Make the namespace; nothing is run yet."""
        self.scene = Scene(site, server)
        self.server = server
        self.plane = site.plane
        self.gateway = gateway
        self.networks = ["127.0.0.0/8", f"10.0.{number}.0/24"]
        self._site = site
        self._lives = 0
        self.operator = self._next_operator()

    def _next_operator(self) -> Operator:
        """Return another process, as a Pod that was made again."""
        self._lives += 1
        return Operator(
            behind(self._site.kubeconfig, self.gateway.url),
            self._site.directory,
            f"--watch-namespaces={self.scene.namespace}",
            TIMEOUT,
            "-v6",
            name=f"crash-{self.scene.namespace}-{self._lives}",
        )

    def create(self) -> None:
        """Create the object."""
        obj = registration(self.server.url, DOMAIN, allowFrom=self.networks)
        self.scene.create(obj)

    def crash(self) -> None:
        """Kill the process at once; the next one is another."""
        self.operator.kill()
        self.operator = self._next_operator()

    def wait_log(self, text: str, count: int = 1) -> None:
        """Wait until the operator has said something so often."""
        log = self.operator.log
        eventually(lambda: log.read_text().count(text) >= count, 30, f"{count} of {text!r}")

    def accounts(self) -> list[Object]:
        """Return the accounts at the server that were made for the object."""
        return [each for each in self.server.accounts() if each["allowfrom"] == self.networks]

    def left(self) -> Left:
        """See what there is now."""
        return Left(self._secret(), self._status(), len(self.accounts()))

    def uncertain(self) -> int:
        """Return the outcomes that our document counts."""
        return self._own().get("uncertain", 0)

    def _own(self) -> Object:
        return self.scene.own_document()["keys"][KEY][DOMAIN]

    def _secret(self) -> str:
        try:
            claimed = "claim" in self._own()
        except ApiError as error:
            assert error.status == 404
            return "absent"
        stored = (
            DOMAIN
            in self.scene.plane.secret_data(SECRET, self.scene.namespace).get(KEY, b"").decode()
        )
        assert claimed != stored
        return "claimed" if claimed else "stored"

    def _status(self) -> str:
        status = self.scene.get()["status"]
        if status.get("records"):
            return "ready"
        return "unvisited" if status["observedGeneration"] < 0 else "visited"


Act = Callable[[Case], None]


def at(what: str, stage: str, skip: int = 0) -> Act:
    """Kill it while a request to the API server waits before or after the server's work."""

    def act(case: Case) -> None:
        hold = case.gateway.hold(what, stage, skip)
        case.operator.start()
        case.create()
        hold.wait()
        case.crash()
        hold.drop()

    return act


def while_posting(stage: str) -> Act:
    """Kill it while the server works on /register; before its work, there is no account then."""

    def act(case: Case) -> None:
        case.server.hold(stage)
        case.operator.start()
        case.create()
        case.server.wait_held()
        case.crash()
        case.server.release(discard=True)

    return act


def with_account_made_later(case: Case) -> None:
    """Kill it while /register has arrived; the server makes the account when it is dead."""
    case.server.hold("before")
    case.operator.start()
    case.create()
    case.server.wait_held()
    case.crash()
    assert case.left() == Left("claimed", "visited", 0)
    case.server.release()
    eventually(case.accounts, 10, "the account is made")


def with_answer_lost(case: Case) -> None:
    """Kill it when the connection was closed after the server's work."""
    case.server.fault(kind="drop", commit=True, times=1)
    case.operator.start()
    case.create()
    case.wait_log('msg="registration failed"')
    case.crash()


def with_api_server_stopped(case: Case) -> None:
    """Kill it with the account in hand and its store sent to an API server that is frozen."""
    case.server.hold("after")
    case.operator.start()
    case.create()
    case.server.wait_held()
    with case.plane.apiserver_paused():
        case.server.release()
        case.wait_log("action=EditSecret", 2)
        case.crash()


def twice(case: Case) -> None:
    """Kill it with the answer on its way, and the next one with the account in hand."""
    while_posting("after")(case)
    hold = case.gateway.hold(STORE, "before", skip=1)
    case.operator.start()
    hold.wait()
    case.crash()
    hold.drop()


@dataclass(frozen=True)
class Crash:
    """What a crash leaves, and what the next process has made of it in the end."""

    act: Act
    left: Left | None  # None: one or the other
    accounts: int | None
    uncertain: int | None


VISITED = Left(status="visited")
CLAIMED = Left("claimed", "visited")
MADE = Left("claimed", "visited", 1)
STORED = Left("stored", "visited", 1)
READY = Left("stored", "ready", 1)

CRASHES = {
    "before the first status patch": Crash(at(VISIT, "before"), Left(), 1, 0),
    "after the first status patch": Crash(at(VISIT, "after"), VISITED, 1, 0),
    "before the Secret was read": Crash(at(READ, "before"), VISITED, 1, 0),
    "after the Secret was read": Crash(at(READ, "after"), VISITED, 1, 0),
    "before the claim": Crash(at(CLAIM, "before"), VISITED, 1, 0),
    "after the claim": Crash(at(CLAIM, "after"), CLAIMED, 1, 1),
    "after the POST was sent": Crash(while_posting("before"), CLAIMED, 1, 1),
    "before the server makes the account": Crash(with_account_made_later, MADE, 2, 1),
    "after the server made the account": Crash(while_posting("after"), MADE, 2, 1),
    "after the answer was lost": Crash(with_answer_lost, MADE, 2, 1),
    "with the API server stopped": Crash(with_api_server_stopped, None, None, None),
    "before the store": Crash(at(STORE, "before"), MADE, 2, 1),
    "after the store": Crash(at(STORE, "after"), STORED, 1, 0),
    "before status names the CNAME": Crash(at(VISIT, "before", 1), STORED, 1, 0),
    "after status named the CNAME": Crash(at(VISIT, "after", 1), READY, 1, 0),
    "before the event": Crash(at(EVENT, "before"), READY, 1, 0),
    "twice": Crash(twice, Left("claimed", "visited", 2), 3, 2),
}


@pytest.fixture(scope="module")
def gateway(site: Site) -> Iterator[Gateway]:
    """Choose what passes to the API server."""
    with Gateway(site.plane) as gateway:
        yield gateway


@dataclass
class Crashed:
    """All cases, what each crash left, and the process that comes after it."""

    cases: dict[str, Case]
    left: dict[str, Left]
    heir: Operator


@pytest.fixture(scope="module")
def crashed(site: Site, gateway: Gateway) -> Iterator[Crashed]:
    """Crash at each point, then run one operator for what all have left.

    They wait for the same ten seconds, so they wait together. The one that is killed again
    after its wait comes last: the others have served theirs by then in part.
    """
    site.vacate()
    left: dict[str, Left] = {}
    with ExitStack() as stack:
        server = stack.enter_context(AcmeDns())
        cases = {what: Case(site, gateway, server, i) for i, what in enumerate(CRASHES)}
        for case in cases.values():
            stack.callback(case.scene.close)
        for what, crash in CRASHES.items():
            crash.act(cases[what])
            left[what] = cases[what].left()
        namespaces = ",".join(case.scene.namespace for case in cases.values())
        flags = (f"--watch-namespaces={namespaces}", TIMEOUT)
        heir = Operator(site.kubeconfig, site.directory, *flags, name="heir")
        yield Crashed(cases, left, stack.enter_context(heir))


@pytest.mark.parametrize("what", [what for what, crash in CRASHES.items() if crash.left])
def test_crash_leaves_what_the_order_of_work_says(crashed: Crashed, what: str) -> None:
    assert crashed.left[what] == CRASHES[what].left


@pytest.mark.parametrize("what", CRASHES)
def test_next_process_makes_ready_what_a_crash_left(crashed: Crashed, what: str) -> None:
    case = crashed.cases[what]
    obj = case.scene.wait_ready(timeout=TAKEOVER)
    assert case.left().secret == "stored"
    entry = case.scene.accounts()[DOMAIN]
    assert records(obj) == {DOMAIN: entry["fulldomain"]}
    assert entry["subdomain"] in [each["subdomain"] for each in case.accounts()]


@pytest.mark.parametrize("what", CRASHES)
def test_accounts_are_one_and_those_counted_as_uncertain(crashed: Crashed, what: str) -> None:
    case, crash = crashed.cases[what], CRASHES[what]
    case.scene.wait_ready(timeout=TAKEOVER)
    made, uncertain = len(case.accounts()), case.uncertain()
    assert made <= 1 + uncertain
    assert crash.accounts in (None, made)
    assert crash.uncertain in (None, uncertain)


@pytest.mark.parametrize("what", [what for what, crash in CRASHES.items() if crash.uncertain])
def test_account_that_may_be_orphaned_is_told_by_an_event(crashed: Crashed, what: str) -> None:
    case = crashed.cases[what]
    case.scene.wait_ready(timeout=TAKEOVER)
    case.scene.wait_event("AccountPossiblyOrphaned")


def test_cert_manager_presents_with_the_account_made_after_crashes(crashed: Crashed) -> None:
    scene = crashed.cases["twice"].scene
    scene.wait_ready(timeout=TAKEOVER)
    assert scene.present(DOMAIN) == scene.accounts()[DOMAIN]["subdomain"]


def test_account_stored_before_a_crash_is_used_at_once(crashed: Crashed) -> None:
    case = crashed.cases["after the store"]
    case.scene.wait_ready(timeout=TAKEOVER)
    (account,) = case.accounts()
    assert case.scene.accounts()[DOMAIN]["subdomain"] == account["subdomain"]


# --- crashes with more than one account under way ---


def test_each_of_several_registrations_under_way_is_counted(
    site: Site, scene: Scene, tmp_path: Path
) -> None:
    site.vacate()
    flags = (f"--watch-namespaces={scene.namespace}", TIMEOUT)
    operator = Operator(site.kubeconfig, tmp_path, *flags)
    operator.start()
    scene.server.hold("after")
    domains = [f"{i}.example.com" for i in range(4)]
    scene.create(registration(scene.server.url, *domains))
    scene.server.wait_held(4)
    operator.kill()
    scene.server.release(discard=True)
    with operator:
        scene.wait_ready(timeout=TAKEOVER)
    own = scene.own_document()["keys"][KEY]
    assert {domain: own[domain]["uncertain"] for domain in domains} == dict.fromkeys(domains, 1)
    assert len(scene.server.accounts()) == 8


# --- a request whose answer is lost, to a process that lives ---


@pytest.mark.parametrize(
    ("what", "skip"), [(VISIT, 0), (READ, 0), (CLAIM, 0), (STORE, 0), (VISIT, 1), (EVENT, 0)]
)
@pytest.mark.parametrize("stage", ["before", "after"])
def test_request_lost_on_its_way_or_back_doubles_nothing(
    site: Site, scene: Scene, gateway: Gateway, tmp_path: Path, what: str, skip: int, stage: str
) -> None:
    site.vacate()
    flags = (f"--watch-namespaces={scene.namespace}",)
    with Operator(behind(site.kubeconfig, gateway.url), tmp_path, *flags):
        hold = gateway.hold(what, stage, skip)
        scene.create(registration(scene.server.url, DOMAIN))
        hold.wait()
        hold.drop()
        scene.wait_ready()
        assert len(scene.posts()) == 1
        assert "uncertain" not in scene.own_document()["keys"][KEY][DOMAIN]


# --- ended by a signal ---


@pytest.fixture
def ended(site: Site, scene: Scene, tmp_path: Path) -> Iterator[Operator]:
    """Run an operator of the test's own, which leads."""
    site.vacate()
    flags = (
        f"--watch-namespaces={scene.namespace}",
        "--leader-elect",
        f"--leader-election-id={scene.namespace}",
        "--leader-election-lease-duration=3s",
        "--leader-election-renew-deadline=2s",
        "--leader-election-retry-period=500ms",
    )
    operator = Operator(site.kubeconfig, tmp_path, *flags)
    operator.start()
    yield operator
    operator.kill()


def hold_one(scene: Scene, stage: str = "after") -> None:
    """Have one registration wait at the server."""
    scene.server.hold(stage)
    scene.create(registration(scene.server.url, DOMAIN))
    scene.server.wait_held()


def send(operator: Operator, number: signal.Signals) -> None:
    """Send a signal, and see that it arrived."""
    operator.process.signal(number)
    log = operator.log
    eventually(lambda: f"msg=ending signal={number.name}" in log.read_text(), 10, "it is ending")


def holder(scene: Scene) -> str:
    """Return who holds the lease."""
    path = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/{scene.namespace}"
    return scene.plane.api("GET", path)["spec"].get("holderIdentity", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_lets_a_registration_and_its_store_finish(
    scene: Scene, ended: Operator, number: signal.Signals
) -> None:
    hold_one(scene)
    assert holder(scene)
    send(ended, number)
    scene.server.release()
    assert ended.process.wait(20) == 0
    assert scene.accounts()[DOMAIN]["subdomain"] == scene.server.accounts()[0]["subdomain"]
    assert holder(scene) == ""
    assert records(scene.get()) == {}
    with ended:
        scene.wait_ready()
    assert len(scene.posts()) == 1


def test_nothing_is_begun_after_a_signal(scene: Scene, ended: Operator) -> None:
    hold_one(scene)
    send(ended, signal.SIGTERM)
    mark = scene.plane.audit_mark()
    scene.create(registration(scene.server.url, "www.example.com", name="late"))
    scene.change(domains=[DOMAIN, "more.example.com"])
    scene.server.release()
    assert ended.process.wait(20) == 0
    assert len(scene.posts()) == 1
    assert list(scene.accounts()) == [DOMAIN]
    assert list(scene.own_document()["keys"][KEY]) == [DOMAIN]
    assert scene.get("late")["status"] == {"observedGeneration": -1}
    eventually(lambda: scene.counts(since=mark)[STORE] == 1, 10, "the store is in the audit log")
    assert scene.counts(since=mark)[VISIT] == 0


def test_second_signal_ends_at_once(scene: Scene, ended: Operator) -> None:
    hold_one(scene)
    send(ended, signal.SIGTERM)
    ended.process.signal(signal.SIGTERM)
    assert ended.process.wait(5) == 1
    assert scene.server.held() == 1


def test_idle_operator_ends_at_once_and_with_success(scene: Scene, ended: Operator) -> None:
    scene.register(DOMAIN)
    scene.wait_event("Registered")
    ended.process.signal(signal.SIGTERM)
    assert ended.process.wait(5) == 0


def test_operator_that_waits_for_nothing_but_a_claim_ends_at_once(
    scene: Scene, ended: Operator
) -> None:
    scene.server.settings(registration_disabled=True)
    scene.create(registration(scene.server.url, DOMAIN))
    scene.wait(Ready="False/RegistrationUnavailable")
    ended.process.signal(signal.SIGTERM)
    assert ended.process.wait(5) == 0


def test_signal_with_the_api_server_stopped_ends_it_within_the_grace_period(
    scene: Scene, ended: Operator
) -> None:
    hold_one(scene)
    with scene.plane.apiserver_paused():
        send(ended, signal.SIGTERM)
        scene.server.release()
        ended.process.wait(40)
    assert "gave up a registration at exit" in ended.log.read_text()
