"""Tests of `hostedge.api.zones`, through the calls of the API."""

from __future__ import annotations

from tests.api.node import SITE
from tests.api.test_app import ApiTestCase

RECORD = {"name": "@", "type": "MX", "data": "10 mail"}


class ZoneCallTests(ApiTestCase):
    """`PUT` and `GET /v1/zones/NAME`."""

    def setUp(self) -> None:
        super().setUp()
        self.apply(SITE)

    def test_put(self) -> None:
        """
        A zone is written beside all else that the account has, and answered once it is live.
        """
        body = {"account": "demo", "zone": {"records": [RECORD]}}
        change = {"key": "zone/demo.test", "what": "created"}
        dry = self.call("PUT", "/v1/zones/demo.test", {**body, "dry_run": True})
        self.assertEqual(dry, (200, {"revision": 1, "dry_run": True, "changes": [change]}))
        status, answer = self.call("PUT", "/v1/zones/Demo.test", {**body, "dry_run": False})
        self.assertEqual((status, answer["revision"], answer["changes"]), (200, 2, [change]))
        self.assertEqual(self.node.asked[-1], ("announce", 2))
        status, now = self.call("GET", "/v1/zones/demo.test")
        self.assertEqual(status, 200)
        self.assertEqual((now["account"], now["serial"], now["revision"]), ("demo", 2, 2))
        self.assertEqual(now["zone"]["records"], [{**RECORD, "data": "10 mail.demo.test."}])
        self.assertEqual([each["type"] for each in now["records"]], ["SOA", "NS", "MX"])
        self.assertEqual({each["ttl"] for each in now["records"]}, {3600})
        self.assertEqual((now["hosts"], now["more_hosts"]), (["demo.test"], False))
        self.assertEqual(now["addresses"], ["192.0.2.1"])

    def test_refused(self) -> None:
        """
        What is wrong with a call or a zone is named.
        """
        zone = {"zone": {"records": [{**RECORD, "data": "mail"}]}}
        for name, body, wanted in (
            ("a.test", {"account": "demo", **zone}, (422, "zone/a.test: records[0]: data")),
            ("a.test", {"account": "nobody", "zone": {}}, (422, "account nobody")),
            ("a.test", {"account": "demo", "zone": {"name": "b"}}, (422, "zone/a.test: name")),
            ("*.test", {"account": "demo", "zone": {}}, (422, "zone")),
            ("a.test", {"zone": {}}, (400, "body: account")),
            ("a.test", {"account": "demo"}, (400, "body: zone")),
            ("a.test", {"account": "demo", "zone": []}, (400, "body: zone")),
        ):
            self.assertEqual(self.refused("PUT", f"/v1/zones/{name}", body)[:2], wanted)
        self.assertEqual(self.refused("GET", "/v1/zones/a.test")[:2], (404, "zone"))
        self.assertEqual(self.refused("GET", "/v1/zones/a..test")[:2], (422, "zone"))
