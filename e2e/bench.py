# SPDX-License-Identifier: Apache-2.0
"""Figures of the release build against its budgets, on a real API server: ``make bench``.

One line a figure, with its budget where there is one; the exit code is 1 when one is broken.
CPU is what the operator's process has used, read from its own clock in the kernel; the API
server, the stand-in and this program share the same cores, so times depend on the machine.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import multiprocessing
import os
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

import yaml

from e2e.acmedns.client import AcmeDns
from e2e.bind import Bind
from e2e.cluster import ControlPlane, Object
from e2e.operator import NAMESPACE, SERVICE_ACCOUNT, USER, Operator, binary, install
from e2e.process import eventually
from e2e.scene import GROUP, condition, registration, secret_ref

_PLURAL = "acmednsregistrations"
_GROUP_PATH = f"/apis/{GROUP}/v1alpha1"
_POLL = 0.005
# What a burst leaves in memory is given back when the operator has been at rest for a while.
_REST = 10.0
# CPU is told in what curl uses for a GET of one object, and held near what it is.
_CPU_BUDGET = 20
_RESTART_BUDGET = 2000
_SILENT_DNS = "127.0.0.153"


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


class Report:
    """The figures, and which of them broke their budgets."""

    def __init__(self) -> None:
        """Begin with none."""
        self.broken: list[str] = []

    def add(self, name: str, value: float, budget: float | None = None, digits: int = 0) -> None:
        """Print a figure; one above its budget is broken."""
        text = f"{name} {value:.{digits}f}"
        if budget is None:
            say(f"  {text}")
            return
        over = round(value, digits) > budget
        say(f"  {text} (budget {budget:g}){' BROKEN' if over else ''}")
        if over:
            self.broken.append(text)


# --- the API, by one connection that stays


class Api:
    """The admin's way to the API server, and a watch that notes when objects become Ready."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        """Connect."""
        self.plane = plane
        self.namespace = namespace
        self.path = f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/{_PLURAL}"
        self.created: dict[str, float] = {}
        self.ready: dict[str, float] = {}
        user = yaml.safe_load(plane.kubeconfig.read_text())["users"][0]["user"]
        self.token = user["token"]
        self._connection = self._connect()
        # An API server that has just been given a CRD does not serve it at once.
        eventually(self._open_watch, 10, "the API is served")
        threading.Thread(target=self._follow, daemon=True).start()

    def _open_watch(self) -> bool:
        self._watch = self._connect()
        self._watch.request("GET", f"{self.path}?watch=1", headers=self._headers())
        self._stream = self._watch.getresponse()
        return self._stream.status == 200

    def _connect(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cadata=self.plane.ca_pem)
        return http.client.HTTPSConnection("127.0.0.1", self.plane.port, context=context)

    def _headers(self) -> dict[str, str]:
        return {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}

    def _follow(self) -> None:
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            for line in self._stream:
                self._note(json.loads(line)["object"], time.monotonic())

    def _note(self, obj: Object, now: float) -> None:
        found = condition(obj, "Ready")
        if found and found["status"] == "True":
            self.ready.setdefault(obj["metadata"]["name"], now)

    def create(self, obj: Object) -> None:
        """Create an object, noting when."""
        self.created[obj["metadata"]["name"]] = time.monotonic()
        self._connection.request("POST", self.path, json.dumps(obj), self._headers())
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 201, body

    def wait_ready(self, names: Sequence[str], timeout: float) -> None:
        """Wait until each of them is Ready."""
        eventually(lambda: self.ready.keys() >= set(names), timeout, f"{len(names)} are Ready")

    def took(self, names: Sequence[str]) -> float:
        """The median time from creation to Ready, in milliseconds."""
        return 1000 * statistics.median(self.ready[name] - self.created[name] for name in names)


# --- the operator, seen from outside


def rss_mib(pid: int, field: str = "VmRSS") -> float:
    """What a process has in memory; RssAnon is what it does not share with files."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB", status, re.M)
    assert found, status
    return int(found[1]) / 1024


def cpu_ms(pid: int) -> float:
    """The CPU time that all threads of a process have used, by its own clock."""
    return 1000 * time.clock_gettime(~pid << 3 | 2)


def settle(pid: int) -> float:
    """Wait until a process has been nearly idle for half a second; when that began."""
    while True:
        begun, used = time.monotonic(), cpu_ms(pid)
        time.sleep(0.5)
        if cpu_ms(pid) - used < 5:
            return begun


def waited_ms(pid: int | str) -> float:
    """How long a process was ready to run and had no core, where the kernel tells it."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e6


def poll_health(operator: Operator, pipe: Connection) -> None:
    """Ask /healthz by a connection that stays until told to stop; send how long each took.

    Each is a pair: all of it, and without what the two processes waited for a core.
    """
    with contextlib.suppress(PermissionError):
        os.nice(-10)
    pid = operator.process.pid
    connection = http.client.HTTPConnection("127.0.0.1", operator.probe_port, timeout=30)
    took: list[tuple[float, float]] = []
    while not pipe.poll(_POLL):
        waited, begun = waited_ms(pid) + waited_ms("self"), time.monotonic()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        all_of_it = 1000 * (time.monotonic() - begun)
        took.append((all_of_it, all_of_it - (waited_ms(pid) + waited_ms("self") - waited)))
    pipe.send(took)


@contextlib.contextmanager
def loop_watched(operator: Operator) -> Iterator[list[tuple[float, float]]]:
    """Measure the loop from outside during a with block; the list is filled at its end."""
    took: list[tuple[float, float]] = []
    ours, theirs = multiprocessing.Pipe()
    poller = multiprocessing.Process(target=poll_health, args=(operator, theirs))
    poller.start()
    try:
        yield took
        ours.send("stop")
        took += ours.recv()
    finally:
        poller.terminate()
        poller.join()


# --- what is measured


class Bench:
    """A cluster, a stand-in and one operator at a time."""

    def __init__(self, stack: contextlib.ExitStack, report: Report) -> None:
        """Start the first two, and install the operator."""
        self.stack = stack
        self.report = report
        self.directory = Path(tempfile.mkdtemp(prefix="acme-dns-operator-bench-"))
        stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.plane = stack.enter_context(ControlPlane(say))
        self.server = stack.enter_context(AcmeDns())
        install(self.plane)
        self.kubeconfig = self.plane.service_account_kubeconfig(
            NAMESPACE, SERVICE_ACCOUNT, self.directory / "operator.kubeconfig"
        )

    def operator(
        self, namespace: str = "", *program: str | Path, more: Sequence[str] = ()
    ) -> Operator:
        """The operator as the Deployment runs it, with a lease; of one namespace if given."""
        flags = ["--leader-elect", f"--leader-election-namespace={NAMESPACE}", *more]
        if namespace:
            flags += [f"--watch-namespaces={namespace}", f"--leader-election-id={namespace}"]
        name = namespace or "operator"
        return Operator(self.kubeconfig, self.directory, *flags, name=name, program=program or None)

    def new_api(self, prefix: str) -> Api:
        return Api(self.plane, self.plane.create_namespace(prefix))

    def object(self, name: str, secret: str, host: str | None = None) -> Object:
        host = host or self.server.url
        domain = f"{name}.example.com"
        return registration(host, domain, name=name, accountSecretRef=secret_ref(secret))

    def create_all(self, api: Api, names: Sequence[str], secret: Callable[[int], str]) -> float:
        """Create objects as fast as the API server takes them; seconds until all are Ready."""
        begun = time.monotonic()
        for i, name in enumerate(names):
            api.create(self.object(name, secret(i)))
        api.wait_ready(names, 120)
        return time.monotonic() - begun

    def requests(self, api: Api, since: int) -> list[Object]:
        """What the operator asked of the API server for the objects of a namespace."""
        return self.plane.audit(since, user=USER, namespace=api.namespace)

    def register_ms(self) -> float:
        """The median time of a POST /register on a connection of its own."""
        took = []
        for _ in range(20):
            begun = time.monotonic()
            request = urllib.request.Request(f"{self.server.url}/register", b"{}", method="POST")
            urllib.request.urlopen(request, timeout=10).read()
            took.append(1000 * (time.monotonic() - begun))
        return statistics.median(took)

    def curl_ms(self) -> float:
        """The CPU that curl uses for one GET of an object over a connection that stays."""
        api = self.new_api("curl")
        api.create(self.object("curl", "curl"))
        api.wait_ready(["curl"], 30)
        ca = self.directory / "ca.crt"
        ca.write_text(self.plane.ca_pem)
        url = f"{self.plane.server}{api.path}/curl?[1-{{}}]"
        config = f'header = "Authorization: Bearer {api.token}"\ncacert = "{ca}"\nsilent\n'

        def children_ms(count: int) -> float:
            text = f'{config}url = "{url.format(count)}"\noutput = "/dev/null"\n'
            before = os.times()
            subprocess.run(["curl", "--config", "-"], input=text, text=True, check=True)
            after = os.times()
            user = after.children_user - before.children_user
            return 1000 * (user + after.children_system - before.children_system)

        return (children_ms(2100) - children_ms(100)) / 2000

    # the sections

    def one_object(self) -> None:
        """Requests and time of single objects, each with a Secret of its own."""
        say("one object at a time, 20 of them")
        register = self.register_ms()
        api = self.new_api("one")
        names = [f"one-{i}" for i in range(20)]
        mark, posts = self.plane.audit_mark(), len(self.server.requests("/register"))
        for name in names:
            api.create(self.object(name, name))
            api.wait_ready([name], 30)
        time.sleep(1.5)  # the event comes last, and the audit log a little later
        requests = len(self.requests(api, mark)) / len(names)
        posts = len(self.server.requests("/register")) - posts
        self.report.add("kubernetes_requests_per_object", requests, 6, 2)
        self.report.add("register_posts_per_object", posts / len(names), 1, 2)
        self.report.add("register_ms", register, None, 1)
        beyond = api.took(names) - register
        self.report.add("created_to_ready_beyond_register_ms", beyond, 30, 1)

    def burst(self, title: str, prefix: str, secret: Callable[[int], str]) -> None:
        """200 objects at once."""
        say(f"200 objects at once, {title}")
        api, names = self.new_api(prefix), [f"{prefix}-{i}" for i in range(200)]
        mark, used = self.plane.audit_mark(), cpu_ms(self.pid)
        took = self.create_all(api, names, secret)
        settle(self.pid)
        used = cpu_ms(self.pid) - used
        requests = self.requests(api, mark)
        writes = [e for e in requests if e["objectRef"]["resource"] == "secrets"]
        writes = [e for e in writes if e["verb"] != "get"]
        one = prefix == "shared"
        self.report.add(f"{prefix}_secret_writes", len(writes), 200 if one else 400)
        self.report.add(f"{prefix}_requests_per_object", len(requests) / 200, None, 2)
        self.report.add(f"{prefix}_cpu_ms_per_object", used / 200, None, 2)
        # The machine's measure: an object takes seven requests and three events of a watch.
        budget = None if one else _CPU_BUDGET
        self.report.add(f"{prefix}_cpu_per_object_in_gets", used / 200 / self.get_ms, budget, 1)
        self.report.add(f"{prefix}_all_ready_s", took, None, 1)

    def thousand(self, have: int) -> None:
        """Memory with 1,000 objects."""
        say("1,000 objects, ten to a Secret beyond those")
        api, names = self.new_api("more"), [f"more-{i}" for i in range(1000 - have)]
        self.create_all(api, names, lambda i: f"more-{i // 10}")
        settle(self.pid)
        time.sleep(_REST)
        self.report.add("rss_1000_mib", rss_mib(self.pid), 16, 1)
        self.report.add("rss_1000_anonymous_mib", rss_mib(self.pid, "RssAnon"), None, 1)

    def restart(self, operator: Operator) -> None:
        """What the 1,000 objects cost a new process; nothing may be written for them."""
        say("a restart with 1,000 objects")
        operator.stop()
        mark, begun = self.plane.audit_mark(), time.monotonic()
        operator.start()
        ready = time.monotonic() - begun
        self.pid = operator.process.pid
        settled = settle(self.pid) - begun
        events = self.plane.audit(mark, user=USER)
        kinds = [e["objectRef"]["resource"] for e in events if e["verb"] in ("patch", "create")]
        writes = [kind for kind in kinds if kind in ("secrets", _PLURAL, "events")]
        self.report.add("restart_ready_ms", 1000 * ready)
        self.report.add("restart_settled_ms", 1000 * settled)
        used = cpu_ms(self.pid)
        self.report.add("restart_cpu_ms", used)
        self.report.add("restart_cpu_in_gets", used / self.get_ms, _RESTART_BUDGET)
        time.sleep(_REST)
        self.report.add("restart_writes", len(writes), 0)
        self.report.add("rss_restarted_mib", rss_mib(self.pid), 16, 1)

    def cnames(self) -> None:
        """What it costs to have the CNAMEs of the 1,000 objects looked up; all lead elsewhere."""
        say("the CNAMEs of 1,000 objects, at BIND")
        zones = {"example.com": ["* CNAME elsewhere"]}
        with Bind(self.directory / "bind", zones) as bind:
            resolvers = f"--dns-resolvers={bind.address}:{bind.port}"
            with self.operator(more=[resolvers]) as operator:
                begun = time.monotonic()
                for each in self.objects():
                    path = f"{_GROUP_PATH}/namespaces/{each['metadata']['namespace']}/{_PLURAL}"
                    change = {"spec": {"cname": {"verify": True}}}
                    self.plane.api("PATCH", f"{path}/{each['metadata']['name']}", change)
                eventually(self.all_seen, 120, "all CNAMEs are looked up")
                self.report.add("cnames_all_seen_s", time.monotonic() - begun, None, 1)
                questions = len(bind.queries())
                settle(operator.process.pid)
                time.sleep(_REST)
                self.report.add("dns_questions_per_cname", questions / 1000, None, 2)
                self.report.add("rss_cnames_mib", rss_mib(operator.process.pid), 16, 1)

    def objects(self) -> list[Object]:
        return self.plane.api("GET", f"{_GROUP_PATH}/{_PLURAL}")["items"]

    def all_seen(self) -> bool:
        found = [condition(each, "CNAMEReady") for each in self.objects()]
        return all(each and each["reason"] == "CNAMEMismatch" for each in found)

    # hosts that do not answer

    def dead_hosts(self) -> dict[str, tuple[Callable[[int], str], Callable[[], bool]]]:
        """The ways to be dead: the URL of such a host for an object, and whether all slots hang."""
        silent, drip = self.server.silent_host(), self.stack.enter_context(AcmeDns())
        drip.fault(kind="drip", status=201, interval=1.0, body="x" * 1000)
        return {
            "dns": (lambda i: f"http://dead-{i}.invalid.test", lambda: True),
            "accept": (
                lambda _: f"http://{silent}",
                lambda: self.server.silent_hosts()[0]["accepted"] > 3,
            ),
            "drip": (lambda _: drip.url, lambda: len(drip.requests("/register")) > 3),
        }

    def side_by_side(self, apis: Sequence[Api]) -> list[float]:
        """50 objects in each of the namespaces, in turn, so that the machine treats them alike."""
        names = [f"good-{i}" for i in range(50)]
        for i, name in enumerate(names):
            for api in apis:
                api.create(self.object(name, f"acme-dns-{i // 5}"))
                time.sleep(0.03)
        for api in apis:
            api.wait_ready(names, 60)
        return [api.took(names) for api in apis]

    def beside_dead_hosts(self) -> None:
        """For each way to be dead, an operator with 20 objects on such hosts, and one without."""
        dead, program = self.dead_hosts(), silent_names(self.stack, self.directory)
        if not program:
            say("no name that never resolves: that takes root, for a resolv.conf of its own")
            del dead["dns"]
        took: list[tuple[float, float]] = []
        turns = sum(self.beside(kind, *dead[kind], program, took) for kind in dead)
        self.report_answers([whole for whole, _ in took], "", None)
        self.report_answers([net for _, net in took], "_without_waiting_for_a_core", 100)
        self.report.add("loop_turns_of_more_than_100_ms_cpu", turns, 0)

    def beside(
        self,
        kind: str,
        host: Callable[[int], str],
        hangs: Callable[[], bool],
        program: list[str | Path],
        took: list[tuple[float, float]],
    ) -> int:
        """50 objects of a good host, with and without dead ones; how many turns took long."""
        say(f"50 objects of a good host, beside 20 objects on hosts that hang in {kind}")
        apis = [self.new_api(f"without-{kind}"), self.new_api(f"with-{kind}")]
        operators = [self.operator(api.namespace, *program) for api in apis]
        with operators[0], operators[1]:
            for i in range(20):
                apis[1].create(self.object(f"dead-{i}", f"acme-dns-{i % 10}", host(i)))
            eventually(hangs, 30, "all slots taken")
            with loop_watched(operators[1]) as answers:
                without, along = self.side_by_side(apis)
            assert not [name for name in apis[1].ready if name.startswith("dead-")]
            turns = long_turns(operators[1])
        took += answers
        self.report.add(f"good_host_ready_ms_without_{kind}", without, None, 1)
        self.report.add(f"good_host_ready_ms_with_{kind}", along, None, 1)
        self.report.add(f"good_host_ratio_{kind}", along / without, 1.25, 2)
        return turns

    def report_answers(self, took: list[float], what: str, budget: float | None) -> None:
        took.sort()
        self.report.add(f"loop_answer_p99_ms{what}", took[len(took) * 99 // 100], None, 1)
        self.report.add(f"loop_answer_max_ms{what}", took[-1], budget, 1)

    def run(self) -> None:
        """All of it."""
        operator = self.operator()
        with operator:
            self.pid = operator.process.pid
            say("no object")
            settle(self.pid)
            self.report.add("rss_idle_mib", rss_mib(self.pid), 14, 1)
            self.report.add("rss_idle_anonymous_mib", rss_mib(self.pid, "RssAnon"), None, 1)
            self.get_ms = self.curl_ms()
            self.report.add("curl_cpu_ms_per_get", self.get_ms, None, 3)
            self.one_object()
            self.burst("a Secret each", "own", lambda i: f"own-{i}")
            self.burst("all on one Secret", "shared", lambda _: "shared")
            self.thousand(have=421)
            self.restart(operator)
        self.cnames()
        self.beside_dead_hosts()


def long_turns(operator: Operator) -> int:
    """How many turns of the loop used more than 100 ms of CPU, by the operator's own word."""
    url = f"http://127.0.0.1:{operator.metrics_port}/metrics"
    with urllib.request.urlopen(url, timeout=5) as answer:
        text = answer.read().decode()
    buckets = re.findall(r'^event_loop_turn_cpu_seconds_bucket{le="(.*)"} (\d+)$', text, re.M)
    counts = {float(most): int(count) for most, count in buckets}
    return counts[float("inf")] - counts[0.1]


def silent_names(stack: contextlib.ExitStack, directory: Path) -> list[str | Path]:
    """How to run the operator with a name server that never answers; [] without the rights."""
    server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    try:
        server.bind((_SILENT_DNS, 53))
    except OSError:
        return []
    resolv = directory / "resolv.conf"
    resolv.write_text(f"nameserver {_SILENT_DNS}\n")
    script = f'mount --bind {resolv} /etc/resolv.conf && exec "$@"'
    program = ["unshare", "--mount", "sh", "-c", script, "operator"]
    if subprocess.run([*program, "true"], stderr=subprocess.DEVNULL).returncode != 0:
        return []
    return [*program, binary()]


def main() -> int:
    """Print every figure; 1 when one is over its budget."""
    report, begun = Report(), time.monotonic()
    say(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {binary()}")
    with contextlib.ExitStack() as stack:
        Bench(stack, report).run()
    say(f"took {time.monotonic() - begun:.0f} s")
    for each in report.broken:
        say(f"over its budget: {each}")
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
