"""The node as Prometheus reads it: on a port of its own, and at the API's socket."""

from __future__ import annotations

import http.client
from collections import Counter

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.running import listeners
from hostedge.settings import read_settings
from tests.live.node import Answer, Node, UnixConnection, wait_for
from tests.live.test_node import COUNTED, hello_site

NAME = "one.localhost"
SETTINGS = '[metrics]\nlisten = "127.0.0.1:0"\n'


class ScrapeTests(SynchronousTestCase):
    """One node."""

    def setUp(self) -> None:
        self.node = Node(settings=SETTINGS)
        self.addCleanup(self.node.stop)
        self.node.start()

    def ask(self, path: str, method: str = "GET", api: bool = False) -> Answer:
        connection: http.client.HTTPConnection
        if api:
            connection = UnixConnection(self.node.state / "control" / "api.sock")
        else:
            (port,) = [
                each["address"].rpartition(":")[2]
                for each in self.listeners()
                if each["protocol"] == "metrics"
            ]
            connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=10)
        self.addCleanup(connection.close)
        connection.request(method, path)
        return Answer(connection.getresponse())

    def listeners(self) -> list[dict[str, str]]:
        return list(listeners(read_settings(self.node.settings)))

    def samples(self, answer: Answer) -> Counter[str]:
        self.assertEqual(answer.status, 200)
        found: Counter[str] = Counter()
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                found[sample.name] += int(sample.value)
        return found

    def test_scraped(self) -> None:
        """Both have what both edges have answered."""
        for _ in range(4):
            self.assertEqual(self.node.get("nowhere.test").status, 404)
        for api in (False, True):
            found = self.samples(self.ask("/metrics", api=api))
            self.assertEqual(found["hostedge_refused_total"], 4)
            self.assertEqual(found["hostedge_requests_total"], 4)
            self.assertEqual(found["hostedge_request_duration_seconds_count"], 4)
            self.assertEqual(found["hostedge_edges"], 2)
            self.assertEqual(found["hostedge_keeper_up"], 1)

    def test_sites(self) -> None:
        """A site that somebody asks for has series; what is no site has none."""
        to = [{"path": "/", "redirect": "https://a.test/new"}]
        domains = [{"name": f"{n}.localhost", "mappings": to} for n in ("one", "idle")]
        self.node.apply({"account": "one", "domains": domains})
        self.node.get("one.localhost")
        self.node.get("nowhere.localhost")
        answer = self.ask("/metrics")
        self.assertIn('site="one.localhost"', answer.text)
        for name in ("idle", "nowhere"):
            self.assertNotIn(f"{name}.localhost", answer.text)
        self.assertEqual(self.samples(answer)["hostedge_site_answers_total"], 1)

    def test_backends(self) -> None:
        """An app that somebody asked for has series, and what its requests have spent time on."""
        self.node.write("one/hello.py", COUNTED)
        self.node.apply(hello_site())
        for _ in range(3):
            self.assertEqual(self.node.get("one.localhost").status, 200)
        answer = self.ask("/metrics")
        found = self.samples(answer)
        self.assertEqual(found["hostedge_backend_requests_total"], 3)
        self.assertEqual(found["hostedge_backend_errors_total"], 0)
        self.assertIn('backend="one/hello"', answer.text)
        by_phase: Counter[str] = Counter()
        for family in text_string_to_metric_families(answer.text):
            for sample in family.samples:
                if sample.name == "hostedge_phase_seconds_count":
                    by_phase[sample.labels["phase"]] += int(sample.value)
        self.assertEqual(by_phase["first_byte"], 3)
        self.assertGreaterEqual(by_phase["start"], 1)

    def told(self, name: str) -> Counter[tuple[str, ...]]:
        """A metric by its labels in the order of their names, of all edges together."""
        found: Counter[tuple[str, ...]] = Counter()
        for family in text_string_to_metric_families(self.ask("/metrics").text):
            for sample in family.samples:
                if sample.name == name and sample.value:
                    labels = {k: v for k, v in sample.labels.items() if k != "edge"}
                    found[tuple(labels.values())] += int(sample.value)
        return found

    def test_kinds(self) -> None:
        """Protocols, versions, stages and slips are told apart, as they come over the wire."""
        to = [{"path": "/", "redirect": "https://a.test/new"}]
        self.node.apply({"account": "one", "domains": [{"name": NAME, "mappings": to}]})
        with self.node.connect(NAME, tls=True) as first, self.node.connect() as second:
            for client in (first, second):
                client.sendall(f"GET / HTTP/1.1\r\nHost: {NAME}\r\n\r\n".encode())
                self.assertIn(b"HTTP/1.1 30", client.recv(65536))
            second.sendall(b"GET")
            wait_for(
                "the stages",
                lambda: self.told("hostedge_connections") == {("idle",): 1, ("reading",): 1},
            )
            second.sendall(b"\0")
            self.assertIn(b" 400 ", second.recv(65536))
        answered = {("3xx", "h1"): 2, ("4xx", "h1"): 1}
        self.assertEqual(self.told("hostedge_requests_total"), answered)
        self.assertEqual(self.told("hostedge_tls_handshakes_total"), {("no", "1.3"): 1})
        self.assertEqual(self.told("hostedge_parse_errors_total"), {("request",): 1})
        self.assertEqual(self.told("hostedge_refused_total"), {("bad_request",): 1})

    def test_nothingElse(self) -> None:
        """The port has neither the API nor anything to be written."""
        self.assertEqual(self.ask("/v1/status").status, 404)
        self.assertEqual(self.ask("/metrics", "POST").status, 405)
        self.assertIn("metrics", self.node.command("status").stdout)

    def test_withoutAKeeper(self) -> None:
        """A keeper that is away is a sample, not the end of the scrape."""
        assert self.node.keeper is not None
        self.node.keeper.kill()
        self.node.keeper.wait()

        def keeper() -> int:
            return self.samples(self.ask("/metrics"))["hostedge_keeper_up"]

        wait_for("the keeper is missed", lambda: not keeper())
        self.node.launch()
        wait_for("the node is up", self.node.is_up)
        wait_for("it is found back", keeper)
