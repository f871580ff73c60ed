# SPDX-License-Identifier: Apache-2.0
"""The command line: its help, its complaints, and its logs, which hold no secret."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.cluster import Object
from e2e.operator import Operator, binary
from e2e.peers import ROOT
from e2e.process import eventually
from e2e.scene import Scene, Site, registration, secret_ref

LEVELS = {"error", "warning", "info", "debug", "trace"}


def run(*args: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the operator as a person would who has no kubeconfig."""
    return subprocess.run(
        [binary(), *args],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **env},
    )


def assert_complains(done: subprocess.CompletedProcess[str], code: int, about: str) -> None:
    """See one line on stderr, from the program, which says what is wrong."""
    assert done.returncode == code, done
    assert done.stdout == ""
    line = done.stderr
    assert line.count("\n") == 1 and line.startswith("acme-dns-operator: "), line
    assert re.search(about, line), line


# --- help and version ---


def documented() -> dict[str, str]:
    """Return what flags.c says of each flag."""
    source = (ROOT / "cmd/acme-dns-operator/flags.c").read_text()
    table = source[source.index("texts[] = {") : source.index("void flags_print_help")]
    texts: dict[str, str] = {}
    for entry in re.findall(r"\{FLAG_\w+, (.*?)\},\n", table, re.S):
        name, *words = re.findall(r'"([^"]*)"', entry)
        texts[name] = "".join(words if ", NULL," in entry else words[1:])
    return texts


@pytest.fixture
def help_text() -> str:
    """Return what --help prints."""
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_help_tells_every_flag(help_text: str) -> None:
    for name, text in documented().items():
        dashes = "--" if len(name) > 1 else "-"
        assert re.search(rf"^  {dashes}{name}\b.* {re.escape(text)}$", help_text, re.M), name


def test_help_tells_of_no_flag_that_is_not_there(help_text: str) -> None:
    named = re.findall(r"^  --?([a-z0-9-]+)", help_text, re.M)
    assert named == list(documented())


def test_every_flag_with_a_default_tells_it(help_text: str) -> None:
    for line in help_text.splitlines():
        if re.match(r"  --\S+ [A-Z\[]", line) and "may be repeated" not in line:
            assert "(default: " in line


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_has_a_short_form(flag: str) -> None:
    assert run(flag).stdout.startswith("acme-dns-operator registers domains")


def test_version_is_told_and_is_that_of_the_build() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"acme-dns-operator \S+\n", done.stdout)


# --- bad flags ---


BAD_FLAGS = [
    (("--nonsense",), "--nonsense"),
    (("-x",), "-x"),
    (("--leader",), "--leader"),
    (("argument",), "argument"),
    (("--", "argument"), "argument"),
    (("--kubeconfig",), "--kubeconfig needs a value"),
    (("-v",), "-v needs a value"),
    (("-v", "10"), "-v 10"),
    (("-v=x",), "-v x"),
    (("-v", "-1"), "-v -1"),
    (("--log-format=xml",), "--log-format xml: text or json"),
    (("--http1=maybe",), "--http1=maybe: true or false"),
    (("--leader-elect=1",), "--leader-elect=1: true or false"),
    (("--watch-namespaces=",), "--watch-namespaces"),
    (("--watch-namespaces=a,,b",), "--watch-namespaces a,,b"),
    (("--watch-namespaces=a, b",), "--watch-namespaces a, b"),
    (("--watch-namespaces=A",), "--watch-namespaces A"),
    (("--watch-namespaces", ",".join(["a"] * 65)), "--watch-namespaces: at most 64"),
    (("--allow-address=10.0.0.0",), "--allow-address 10.0.0.0"),
    (("--allow-address=10.0.0.0/33",), "--allow-address 10.0.0.0/33"),
    (("--allow-address=name/8",), "--allow-address name/8"),
    (("--allow-address=10.0.0.0/8,::/0",), "--allow-address 10.0.0.0/8,::/0"),
    (("--allow-address=::/0",) * 65, "--allow-address: at most 64"),
    (("--allowed-hosts=",), "--allowed-hosts : write a host or host:port"),
    (("--allowed-hosts=https://a.test",), "--allowed-hosts https://a.test"),
    (("--allowed-hosts=a.test,",), "--allowed-hosts a.test,"),
    (("--allowed-hosts=a.test, b.test",), "--allowed-hosts a.test, b.test"),
    (("--allowed-hosts", ",".join(["a"] * 65)), "--allowed-hosts: at most 64"),
    (("--dns-endpoint-domains=",), "--dns-endpoint-domains : write a domain, like example.com"),
    (("--dns-endpoint-domains=a.test,",), "--dns-endpoint-domains a.test,"),
    (("--dns-endpoint-domains=a.test, b.test",), "--dns-endpoint-domains a.test, b.test"),
    (("--dns-endpoint-domains=https://a.test",), "--dns-endpoint-domains https://a.test"),
    (("--dns-endpoint-domains=_acme-challenge.a.test",), "write a domain"),
    (("--dns-endpoint-domains=*.0.0.10",), "write a domain"),
    (("--dns-endpoint-domains", ",".join(["a"] * 65)), "--dns-endpoint-domains: at most 64"),
    (("--require-https=yes",), "--require-https=yes: true or false"),
    (("--register-timeout=0",), "--register-timeout 0"),
    (("--register-timeout=999ms",), "--register-timeout 999ms"),
    (("--register-timeout=61s",), "--register-timeout 61s: at most 60s"),
    (("--register-timeout=10",), "--register-timeout 10: write a time like 15s"),
    (("--secret-resync=1d",), "--secret-resync 1d"),
    (("--secret-resync=-1s",), "--secret-resync -1s"),
    (("--secret-resync=1.5m",), "--secret-resync 1.5m"),
    (("--secret-resync=99999999h",), "--secret-resync 99999999h"),
    (("--secret-resync=",), "--secret-resync"),
    (("--probe-interval=0",), "--probe-interval 0: write a time like 15s"),
    (("--probe-interval=-1h",), "--probe-interval -1h"),
    (("--probe-interval=never",), "--probe-interval never"),
    (("--leader-election-lease-duration=0s",), "--leader-election-lease-duration 0s"),
    (("--leader-election-renew-deadline=1ms",), "--leader-election-renew-deadline 1ms"),
    (("--leader-election-retry-period=soon",), "--leader-election-retry-period soon"),
    (("--leader-election-id=",), "--leader-election-id"),
    (("--leader-election-id=a/b",), "--leader-election-id a/b"),
    (("--leader-election-id=..",), "--leader-election-id .."),
    (("--leader-election-namespace=",), "--leader-election-namespace"),
    (("--leader-election-namespace=A",), "--leader-election-namespace A"),
    (("--version=1",), "--version"),
    (("--help=flags",), "--help"),
]


@pytest.mark.parametrize(("args", "about"), BAD_FLAGS, ids=[about for _, about in BAD_FLAGS])
def test_bad_flag_is_named_and_ends_with_2(args: tuple[str, ...], about: str) -> None:
    assert_complains(run(*args), 2, re.escape(about))


def test_last_of_a_flag_given_twice_counts() -> None:
    assert run("--log-format=xml", "--log-format=text", "--version").returncode == 2
    assert run("--log-format=json", "--log-format=text", "--version").returncode == 0


VERBOSE = [("-v", "6"), ("-v6",), ("-v=6",), ("--v=6",), ("--v", "6")]


@pytest.mark.parametrize("args", VERBOSE, ids=" ".join)
def test_verbosity_is_written_as_in_kubernetes(args: tuple[str, ...]) -> None:
    assert run(*args, "--version").returncode == 0


# --- a bad kubeconfig ---


def kubeconfig(server: str = "https://127.0.0.1:1", **user: object) -> Object:
    """Return a kubeconfig in which nothing is wrong."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": server}}],
        "users": [{"name": "me", "user": user or {"token": "secret-token"}}],
        "contexts": [{"name": "main", "context": {"cluster": "here", "user": "me"}}],
        "current-context": "main",
    }


BAD_KUBECONFIGS: dict[str, tuple[Object | str, str]] = {
    "empty": ("", "kubeconfig"),
    "no YAML": ("a: [", "kubeconfig"),
    "a list": ("- a", "kubeconfig"),
    "no current-context": ({**kubeconfig(), "current-context": ""}, "current-context"),
    "unknown context": ({**kubeconfig(), "current-context": "other"}, "other"),
    "unknown cluster": ({**kubeconfig(), "clusters": []}, "clusters has no entry named here"),
    "unknown user": ({**kubeconfig(), "users": []}, "users has no entry named me"),
    "no server": (kubeconfig(server=""), "server"),
    "no URL": (kubeconfig(server="https://"), "server"),
    "exec": (kubeconfig(exec={"command": "aws"}), "exec is not supported"),
    "auth-provider": (kubeconfig(**{"auth-provider": {"name": "gcp"}}), "auth-provider"),
    "password": (kubeconfig(username="a", password="secret-word"), "username|password"),
    "missing certificate": (kubeconfig(**{"client-certificate": "absent.crt"}), "client-"),
    "missing token file": (kubeconfig(tokenFile="absent"), "absent"),
}


@pytest.mark.parametrize("what", BAD_KUBECONFIGS)
def test_bad_kubeconfig_is_told_and_ends_with_1(tmp_path: Path, what: str) -> None:
    content, about = BAD_KUBECONFIGS[what]
    path = tmp_path / "kubeconfig"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    done = run(f"--kubeconfig={path}")
    assert_complains(done, 1, f"finding the API server.*({about})")
    assert "secret-word" not in done.stderr


def test_kubeconfig_that_is_not_there_is_told() -> None:
    assert_complains(run("--kubeconfig=/absent"), 1, "/absent: No such file")
    assert_complains(run(KUBECONFIG="/absent"), 1, "/absent: No such file")


def test_without_any_kubeconfig_it_is_told_how_to_give_one() -> None:
    assert_complains(run(), 1, "--kubeconfig.*/nonexistent/.kube/config: No such file")


def test_in_cluster_without_its_files_is_told() -> None:
    done = run(KUBERNETES_SERVICE_HOST="127.0.0.1", KUBERNETES_SERVICE_PORT="1")
    assert_complains(done, 1, "/var/run/secrets/kubernetes.io/serviceaccount/")


# --- what is bad at the start ---


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """Write a kubeconfig of an API server that does not listen."""
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(kubeconfig()))
    return path


@pytest.fixture
def taken() -> Iterator[str]:
    """Return an address that another program has."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        yield f"127.0.0.1:{held.getsockname()[1]}"


@pytest.mark.parametrize("flag", ["--health-probe-bind-address", "--metrics-bind-address"])
def test_port_that_is_taken_is_told_with_its_flag(nowhere: Path, taken: str, flag: str) -> None:
    off = ("--health-probe-bind-address=0", "--metrics-bind-address=0")
    done = run(f"--kubeconfig={nowhere}", *off, f"{flag}={taken}")
    assert_complains(done, 1, f"{flag}.*{taken}.*[Aa]ddress already in use")


@pytest.mark.parametrize("address", ["", "nonsense", ":99999", "127.0.0.1", "host.invalid:80"])
def test_address_that_is_none_is_told_with_its_flag(nowhere: Path, address: str) -> None:
    done = run(f"--kubeconfig={nowhere}", f"--health-probe-bind-address={address}")
    assert_complains(done, 1, "--health-probe-bind-address")


def test_times_of_the_lease_that_do_not_fit_are_told(nowhere: Path) -> None:
    done = run(
        f"--kubeconfig={nowhere}",
        "--health-probe-bind-address=0",
        "--leader-elect",
        "--leader-election-renew-deadline=20s",
    )
    assert done.returncode == 1
    assert "leader election: " in done.stderr.splitlines()[-1]
    assert "renew deadline" in done.stderr.splitlines()[-1]


# --- logs ---


@pytest.fixture
def secret_words(scene: Scene) -> set[str]:
    """Return the token of the operator; the test adds what else nobody may read."""
    scene.site.vacate()
    config = yaml.safe_load(scene.site.kubeconfig.read_text())
    return {config["users"][0]["user"]["token"]}


def live(scene: Scene, directory: Path, *flags: str) -> str:
    """Have an operator do and be refused all kinds of things; return its log."""
    flags = (f"--watch-namespaces={scene.namespace}", "--leader-elect", *flags)
    election = (f"--leader-election-id={scene.namespace}",)
    scene.put_secret({"acmedns.json": "no JSON"}, "broken")
    with Operator(scene.site.kubeconfig, directory, *flags, *election) as operator:
        scene.register("example.com", "www.example.com")
        scene.wait_event("Registered")
        scene.create(
            registration(
                scene.server.url, "b.example", name="b", accountSecretRef=secret_ref("broken")
            )
        )
        scene.wait("b", Ready="False/SecretUnparsable")
        scene.server.fault(kind="answer", status=500, body="words of a stranger", times=1)
        scene.create(registration(scene.server.url, "c.example", name="c"))
        scene.wait("c", Ready="False/ServerUnavailable")
    return operator.log.read_text()


def test_json_log_is_an_object_a_line_with_ts_level_and_msg(scene: Scene, tmp_path: Path) -> None:
    scene.site.vacate()
    lines = [json.loads(line) for line in live(scene, tmp_path, "--log-format=json").splitlines()]
    assert len(lines) > 5
    for line in lines:
        assert list(line)[:3] == ["ts", "level", "msg"]
        assert isinstance(line["ts"], float)
        assert line["level"] in LEVELS
        assert {type(value) for key, value in line.items() if key != "ts"} == {str}
    assert {"starting", "cache is complete", "registered", "ended"} <= {
        line["msg"] for line in lines
    }
    assert [line["ts"] for line in lines] == sorted(line["ts"] for line in lines)


def test_text_log_is_a_time_a_level_and_pairs(scene: Scene, tmp_path: Path) -> None:
    scene.site.vacate()
    value = r'(?:[^\s"=]+|"(?:[^"\\]|\\.)*")'
    form = rf"\d{{4}}-\d\d-\d\dT\S+Z ({'|'.join(LEVELS)})( \w+={value})+"
    for line in live(scene, tmp_path, "-v=9").splitlines():
        assert re.fullmatch(form, line), line


def test_more_is_told_with_each_level(scene: Scene, tmp_path: Path) -> None:
    scene.site.vacate()
    seen: dict[int, set[str]] = {}
    for verbosity in (0, 4, 6):
        flags = (f"--watch-namespaces={scene.namespace}", f"-v={verbosity}", "--log-format=json")
        operator = Operator(scene.site.kubeconfig, tmp_path, *flags, name=f"v{verbosity}")
        name = f"level-{verbosity}"
        with operator:
            scene.register(f"{name}.example", name=name, accountSecretRef=secret_ref(name))
        lines = [json.loads(line) for line in operator.log.read_text().splitlines()]
        seen[verbosity] = {line["level"] for line in lines}
    assert seen == {0: {"info"}, 4: {"info", "debug"}, 6: {"info", "debug", "trace"}}


def test_metrics_name_the_program_and_no_secret(
    scene: Scene, tmp_path: Path, secret_words: set[str]
) -> None:
    operator = Operator(scene.site.kubeconfig, tmp_path, f"--watch-namespaces={scene.namespace}")
    with operator:
        scene.register("example.com")
        assert operator.metric("acmedns_registrations_total", result="registered") == 1
        assert operator.metric("rest_client_requests_total", method="PATCH", code="200") > 0
    assert not [word for word in secret_words if word in operator.log.read_text()]


def test_user_agent_names_the_operator(site: Site, scene: Scene, tmp_path: Path) -> None:
    site.vacate()
    with Operator(site.kubeconfig, tmp_path, f"--watch-namespaces={scene.namespace}"):
        scene.register("example.com")
    (post,) = scene.posts()
    assert re.match(r"acme-dns-operator/\S+ \(linux/\w+\)$", post["headers"]["User-Agent"])
    eventually(scene.requests, 10, "its requests are in the audit log")
    assert {event["userAgent"] for event in scene.requests()} == {post["headers"]["User-Agent"]}


def test_unreachable_api_server_is_told_once_and_tried_again(nowhere: Path, tmp_path: Path) -> None:
    operator = Operator(nowhere, tmp_path, "-v=4")
    operator.start(ready=False)
    tries = "reflector failed"
    eventually(lambda: operator.log.read_text().count(tries) >= 3, 30, "it has tried three times")
    said = [line for line in operator.log.read_text().splitlines() if " warning " in line]
    assert len(said) == 1
    assert "127.0.0.1" in said[0] or "connect" in said[0]
    assert operator.probe("/readyz") == 500
    operator.stop()


def test_as_many_files_may_be_open_as_the_machine_allows(nowhere: Path, tmp_path: Path) -> None:
    operator = Operator(nowhere, tmp_path, program=["prlimit", "--nofile=64:512", binary()])
    operator.start(ready=False)
    eventually(lambda: operator.probe("/healthz") == 200, 30, "it runs")
    assert resource.prlimit(operator.process.pid, resource.RLIMIT_NOFILE) == (512, 512)
    operator.stop()
