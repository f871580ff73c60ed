# SPDX-License-Identifier: Apache-2.0
"""The steps of ``make demo``: what it starts, does and shows."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shlex
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import dns.message
import dns.query
import dns.rdatatype
import yaml

from e2e.acmedns.client import AcmeDns
from e2e.acmedns.listeners import parse_address
from e2e.bind import Bind
from e2e.cluster import Cluster, ControlPlane, KubectlFailed, Object
from e2e.external_dns import ExternalDns, install_crd
from e2e.operator import NAMESPACE, SERVICE_ACCOUNT, binary
from e2e.pebble import Pebble
from e2e.peers import ROOT, dns_servers, peer, present
from e2e.process import Process, free_ports

SAMPLE = ROOT / "manifests/samples/registration.yaml"
LOOPBACK = "127.0.0.0/8"
# What the stand-in serves, and where the sample's domains are.
_ACME_DNS = "auth.example.com"
_ZONES = {
    "example.com": [f"{_ACME_DNS}. NS ns.{_ACME_DNS}.", f"ns.{_ACME_DNS}. A 127.0.0.1"],
    "example.org": [],
}
_HANDED_OVER = "example.com,*.example.org"
_STEPS = 9
_STEPS_OF_DNS = 4
_CRD = "acmednsregistrations.acme-dns-operator.github.io"


class Failed(RuntimeError):
    """The demo cannot go on; the message says why."""


class Screen:
    """What the reader sees: numbered steps, commands, and what they print."""

    def __init__(self, steps: int) -> None:
        """Begin with the first of so many steps."""
        self._step = 0
        self._steps = steps

    def step(self, text: str) -> None:
        """Say what comes now."""
        self._step += 1
        print(f"\n[{self._step}/{self._steps}] {text}", flush=True)

    def line(self, text: str) -> None:
        """Print what came of it, one or more lines."""
        for each in text.rstrip("\n").split("\n"):
            print(f"      {each}", flush=True)

    def command(self, *words: str | Path) -> None:
        """Print a command as it would be typed."""
        self.line("$ " + shlex.join(str(word) for word in words))


def _relative(words: Sequence[str]) -> list[str]:
    """Name files of the tree as a reader at its top would."""
    return [word.removeprefix(f"{ROOT}/") for word in words]


class Demo:
    """The steps, in order; what they start is ended by the stack."""

    def __init__(self, stack: contextlib.ExitStack, directory: Path) -> None:
        """Keep files in the directory; nothing is started yet."""
        self.given = os.environ.get("DEMO_KUBECONFIG")
        self.url = os.environ.get("ACME_DNS_URL")
        self.hands_over = not self.given and not self.url
        self.screen = Screen(_STEPS if self.url else _STEPS + _STEPS_OF_DNS)
        self.stack = stack
        self.directory = directory
        self.server: AcmeDns | None = None
        self.bind: Bind | None = None
        self.namespace = "default"

    def run(self) -> None:
        """Do and show everything."""
        self.build()
        self.cluster = self.use_cluster() if self.given else self.start_cluster()
        self.host = self.use_acme_dns()
        if self.server:
            self.bind = self.start_bind(self.server)
        self.install()
        if self.bind and self.hands_over:
            self.run_external_dns(self.bind)
        self.run_operator()
        self.apply_sample()
        self.wait_ready()
        self.show_object()
        if self.bind and not self.hands_over:
            self.publish(self.bind)
        if self.bind:
            self.wait_cnames()
        document = self.show_secret()
        self.present_all(document)
        if self.bind:
            self.issue(self.bind)
        else:
            self.screen.line("Left out: the CNAMEs in a DNS server, and a certificate by way of")
            self.screen.line("them. A demo cannot know where the DNS of ACME_DNS_URL is.")

    def kubectl(self, *words: str, show: Sequence[str] | None = None) -> str:
        """Run kubectl in the demo's namespace, showing the command and what it said."""
        where = [] if self.namespace == "default" else ["-n", self.namespace]
        self.screen.command("kubectl", *where, *_relative(show or words))
        said = self.cluster.kubectl(*where, *words).stdout
        self.screen.line(said) if said.strip() else None
        return said

    # the steps

    def build(self) -> None:
        """Have the programs around the operator; only the first run says anything here."""
        names = [] if self.given else ["kubernetes"]
        names += ["cert-manager"] if self.url else ["cert-manager", "pebble"]
        names += ["external-dns"] if self.hands_over else []
        for name in names:
            peer(name, self.screen.line)
        if not self.url:
            dns_servers(self.screen.line)

    def start_cluster(self) -> Cluster:
        self.screen.step("starting a control plane on this machine: etcd and kube-apiserver")
        self.kubectl_path = str(peer("kubernetes", self.screen.line) / "kubectl")
        plane = ControlPlane(self.progress, self.directory / "cluster")
        self.stack.enter_context(plane)
        return plane

    def progress(self, line: str) -> None:
        """Print what the control plane says, but for its last words: its files go, too."""
        if not line.startswith("control plane stopped"):
            self.screen.line(line)

    def use_cluster(self) -> Cluster:
        """Take the current context of the given kubeconfig, as it is now."""
        self.screen.step(f"using the cluster of DEMO_KUBECONFIG={self.given}")
        found = shutil.which("kubectl")
        self.kubectl_path = found or str(peer("kubernetes", self.screen.line) / "kubectl")
        config = Cluster(Path(str(self.given)), self.kubectl_path).kubectl(
            "config", "view", "--minify", "--flatten", "--raw"
        )
        kubeconfig = self.directory / "kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(config.stdout)
        cluster = Cluster(kubeconfig, self.kubectl_path)
        if cluster.find("deployment", "acme-dns-operator", NAMESPACE):
            raise Failed("this cluster has an operator already, which would act on the sample, too")
        self.screen.line(f"it is {cluster.server}")
        return cluster

    def use_acme_dns(self) -> str:
        """Start the stand-in, or take the URL given."""
        if self.url:
            self.screen.step(f"using the acme-dns server of ACME_DNS_URL={self.url}")
            return self.url.rstrip("/")
        self.screen.step("starting a stand-in of acme-dns, with its API and its DNS")
        self.server = self.stack.enter_context(AcmeDns(bcrypt_cost=10, domain=_ACME_DNS))
        self.screen.line(f"API {self.server.url}, DNS {self.server.dns}")
        return self.server.url

    def start_bind(self, server: AcmeDns) -> Bind:
        """Start the DNS server that everybody asks here."""
        self.screen.step(f"starting BIND, the DNS server of {' and '.join(_ZONES)}")
        forward = {_ACME_DNS: parse_address(server.dns)}
        bind = Bind(self.directory / "bind", _ZONES, forward=forward, negative_ttl=1)
        self.stack.enter_context(bind)
        self.screen.line(f"DNS {bind.address}:{bind.port}; {_ACME_DNS} is delegated to acme-dns")
        return bind

    def install(self) -> None:
        self.screen.step("applying the CRD, the operator's namespace, ServiceAccount and RBAC")
        if self.given:
            self.remember_what_is_new()
        self.kubectl("apply", "-k", f"{ROOT}/manifests/crd")
        self.kubectl("apply", "-f", f"{ROOT}/manifests/manager/namespace.yaml")
        self.kubectl("apply", "-k", f"{ROOT}/manifests/rbac")
        self.kubectl("wait", "--for=condition=Established", f"crd/{_CRD}", "--timeout=30s")
        if self.given:
            self.make_namespace()

    def run_external_dns(self, bind: Bind) -> None:
        self.screen.step("running external-dns, which makes in BIND what DNSEndpoints ask for")
        install_crd(self.cluster)
        self.kubectl("apply", "-k", f"{ROOT}/manifests/dns-endpoint")
        directory = self.directory / "external-dns"
        external_dns = ExternalDns(self.cluster, directory, bind, self.namespace, *_ZONES)
        self.screen.command("external-dns", *external_dns.process.argv[1:])
        self.stack.enter_context(external_dns)

    def remember_what_is_new(self) -> None:
        """Have what this run adds to the given cluster removed at its end, and no more."""
        parts = [
            ("crd", _CRD, ["-k", f"{ROOT}/manifests/crd"]),
            ("namespace", NAMESPACE, ["namespace", NAMESPACE]),
            ("clusterrole", "acme-dns-operator", ["-k", f"{ROOT}/manifests/rbac"]),
        ]
        for kind, name, words in parts:
            if self.cluster.find(kind, name):
                self.screen.line(f"{kind} {name} is here already and will stay")
            else:
                self.delete_later(*words)

    def delete_later(self, *words: str) -> None:
        words = ("delete", *words, "--ignore-not-found", "--wait=false")
        self.stack.callback(self.cluster.kubectl, *words, check=False)

    def make_namespace(self) -> None:
        name = f"acme-dns-demo-{secrets.token_hex(3)}"
        self.delete_later("namespace", name)
        self.kubectl("create", "namespace", name)
        self.namespace = name

    def run_operator(self) -> None:
        self.screen.step("running the operator, with the token of its own ServiceAccount")
        kubeconfig = self.directory / "operator-kubeconfig"
        words = ["-n", NAMESPACE, "create", "token", SERVICE_ACCOUNT, "--duration=24h"]
        self.screen.command("kubectl", *words)
        self.cluster.service_account_kubeconfig(NAMESPACE, SERVICE_ACCOUNT, kubeconfig, "24h")
        port = free_ports(1)[0]
        flags = [
            f"--kubeconfig={kubeconfig}",
            "--leader-elect",
            f"--leader-election-namespace={NAMESPACE}",
            f"--health-probe-bind-address=127.0.0.1:{port}",
        ]
        if self.is_loopback():
            # Never outside of a demo: it lets tenants reach what listens on this machine alone.
            flags.append(f"--allow-address={LOOPBACK}")
        if self.bind:
            flags.append(f"--dns-resolvers={self.bind.address}:{self.bind.port}")
        if self.hands_over:
            flags.append(f"--dns-endpoint-domains={_HANDED_OVER}")
        if self.given:
            flags.append(f"--watch-namespaces={self.namespace}")
        self.screen.command("acme-dns-operator", *flags)
        operator = Process("operator", [binary(), *flags], self.directory / "operator.log")
        self.stack.callback(operator.stop)
        operator.start()
        operator.wait_ready(lambda: "cache is complete" in operator.log_tail(), 30)
        self.screen.line(operator.log_tail())

    def is_loopback(self) -> bool:
        name = urlsplit(self.host).hostname or ""
        return name in ("localhost", "::1") or name.startswith("127.")

    def apply_sample(self) -> None:
        self.screen.step("asking for accounts, with manifests/samples/registration.yaml")
        sample: Object = yaml.safe_load(SAMPLE.read_text())
        sample["spec"]["host"] = self.host
        sample["metadata"]["namespace"] = self.namespace
        if self.hands_over:
            sample["spec"]["cname"] = {"dnsEndpoint": {}}
        if self.server:
            sample["spec"]["allowFrom"] = [LOOPBACK]
        else:
            # Whoever runs the demo presents from an address that nobody knows here.
            del sample["spec"]["allowFrom"]
        path = self.directory / "registration.yaml"
        path.write_text(yaml.safe_dump(sample, sort_keys=False))
        self.domains: list[str] = sample["spec"]["domains"]
        self.screen.command("cat", path.name)
        self.screen.line(path.read_text())
        self.kubectl("apply", "-f", str(path), show=["apply", "-f", path.name])

    def wait_ready(self) -> None:
        self.screen.step("waiting until it is Ready")
        self.wait("Ready")

    def wait(self, condition: str) -> None:
        begun = time.monotonic()
        try:
            self.kubectl("wait", f"--for=condition={condition}", "adr/example", "--timeout=60s")
        except KubectlFailed as error:
            self.kubectl("describe", "adr", "example")
            said = error.done.stderr.strip()
            raise Failed(f"the object did not become {condition}: {said}") from None
        self.screen.line(f"after {time.monotonic() - begun:.1f} s")

    def show_object(self) -> None:
        self.screen.step("the object, and its CNAME records as lines of a zone file")
        self.kubectl("get", "adr", "-o", "wide")
        lines = r'{range .status.records[*]}{.name}. IN {.type} {.value}.{"\n"}{end}'
        self.kubectl("get", "adr", "example", "-o", f"jsonpath={lines}")

    def publish(self, bind: Bind) -> None:
        """Make the CNAMEs as the domains' owner does."""
        self.screen.step("adding these lines to BIND's zones, as their owner would by hand")
        self.screen.line("external-dns is left out: the cluster may have one, which would act, too")
        bind.publish(self.cluster.get("adr", "example", self.namespace))

    def wait_cnames(self) -> None:
        by = "external-dns has made them and " if self.hands_over else ""
        self.screen.step(f"waiting until {by}the operator has seen them in DNS")
        self.wait("CNAMEReady")
        if self.hands_over:
            lines = r'{range .spec.endpoints[*]}{.dnsName}: {.targets[0]}{"\n"}{end}'
            self.kubectl("get", "dnsendpoint", "example", "-o", f"jsonpath={lines}")
        lines = r'{range .status.records[*]}{.name}: {.verification}{"\n"}{end}'
        self.kubectl("get", "adr", "example", "-o", f"jsonpath={lines}")

    def show_secret(self) -> bytes:
        """Name the domains in the Secret; its passwords stay unseen."""
        self.screen.step("the domains that the Secret has accounts for (its passwords stay unseen)")
        where = [] if self.namespace == "default" else ["-n", self.namespace]
        get = ["kubectl", *where, "get", "secret", "acme-dns", "-o"]
        get.append(r"jsonpath={.data.acmedns\.json}")
        self.screen.line(f"$ {shlex.join(get)} | base64 -d | jq -r 'keys[]'")
        secret = self.cluster.get("secret", "acme-dns", self.namespace)
        document = _decoded(secret, "acmedns.json")
        for domain in sorted(json.loads(document)):
            self.screen.line(domain)
        return document

    def present_all(self, document: bytes) -> None:
        """Do what cert-manager does with the Secret's bytes at a challenge, for each domain."""
        self.screen.step("presenting a token for each domain with cert-manager's own solver")
        peer("cert-manager", self.screen.line)
        entries = json.loads(document)
        for domain in self.domains:
            token = secrets.token_urlsafe(32)
            present(document, self.host, domain, token)
            target = entries[domain.removeprefix("*.")]["fulldomain"]
            self.screen.line(f"{domain:<16} presented {token}")
            if self.server:
                found = token in _txt(self.server, target)
                self.screen.line(f"{'':<16} {'found' if found else 'NOT FOUND'} at {target}")
                if not found:
                    raise Failed("the stand-in does not serve what was presented")

    def issue(self, bind: Bind) -> None:
        """Have a certificate made as cert-manager does, of a CA that asks BIND."""
        self.screen.step("having a certificate issued for all of them, with those accounts")
        pebble = self.stack.enter_context(Pebble(self.directory / "pebble", bind.socket_address))
        self.screen.line(f"the certificate authority is pebble, {pebble.url}, which asks BIND")
        secret = f"{self.namespace}/acme-dns/acmedns.json"
        certificate = pebble.issue(self.cluster.kubeconfig, self.host, secret, *self.domains)
        path = self.directory / "certificate.pem"
        path.write_bytes(certificate.pem)
        words = ["openssl", "x509", "-noout", "-ext", "subjectAltName", "-issuer", "-in"]
        self.screen.command(*words, path.name)
        shown = subprocess.run([*words, path], capture_output=True, text=True, check=True)
        self.screen.line(shown.stdout)


def _decoded(secret: Object, key: str) -> bytes:
    return base64.b64decode(secret["data"][key])


def _txt(server: AcmeDns, name: str) -> str:
    """The TXT records that the stand-in answers for a name."""
    host, _, port = server.dns.rpartition(":")
    query = dns.message.make_query(name, dns.rdatatype.TXT)
    return "\n".join(str(each) for each in dns.query.udp(query, host, 5, int(port)).answer)
