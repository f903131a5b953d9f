"""
Who is worth that a daemon runs.

In:  `http.app_backend`, for requests to an app that sleeps, and for those it is working on.
Out: yes or no, by the fields of the request.

A site that nobody visits is asked all day by programs: monitors that want to know whether it is up,
crawlers that copy it or look for holes in it. If these counted, no daemon would ever sleep. They
are served while one runs and never keep it from sleeping; of one that sleeps they hear 503 and when
to come again. What brings visitors, search engines and previews of links, is worthy: to be told 503
again and again costs a page its place in the results.

A program that does not say what it is counts as a visitor: this saves memory, it is no defence.
"""

from __future__ import annotations

from collections.abc import Iterable

from hostedge.memo import Memo

# as they stand in User-Agent, in any case; each is long enough to be in no browser's
MONITORS = (
    *("UptimeRobot", "Uptime-Kuma", "Better Uptime Bot", "Better Stack Better Uptime"),
    *("Pingdom.com_bot", "StatusCake", "Site24x7", "HetrixTools", "NodePing", "updown.io"),
    *("Checkly", "DatadogSynthetics", "GoogleStackdriverMonitoring-UptimeChecks", "FreshpingBot"),
    *("Zabbix", "check_http/", "Blackbox Exporter", "Blackbox-Exporter", "Monit/", "cron-job.org"),
    *("kube-probe/", "ELB-HealthChecker", "GoogleHC/", "Amazon-Route53-Health-Check-Service"),
    *("Envoy/HC", "Consul Health Check", "HAProxy-HealthCheck"),
)
CRAWLERS = (
    *("AhrefsBot", "AhrefsSiteAudit", "SemrushBot", "SiteAuditBot", "MJ12bot", "DotBot"),
    *("rogerbot", "DataForSeoBot", "BLEXBot", "serpstatbot", "SEOkicks", "Barkrowler"),
    *("Screaming Frog", "MegaIndex.ru", "ZoominfoBot", "AwarioBot"),
    *("Bytespider", "GPTBot", "CCBot", "ClaudeBot", "anthropic-ai", "Amazonbot"),
    *("meta-externalagent", "Google-CloudVertexBot", "cohere-ai", "Diffbot"),
    *("ImagesiftBot", "Timpibot", "omgili", "archive.org_bot", "heritrix", "Scrapy/"),
)
SCANNERS = (
    *("CensysInspect", "zgrab", "Expanse, a Palo Alto", "InternetMeasurement"),
    *("NetcraftSurveyAgent", "Nmap Scripting Engine", "masscan", "Nuclei", "sqlmap/", "Nikto"),
    *("WPScan", "l9explore", "Odin; https://docs.getodin.com", "ModatScanner", "BitSightBot"),
    *("Go-http-scanner",),
)

# bytes of User-Agent in which they stand
LONG = 512
_NAMES = tuple(name.lower().encode("ascii") for name in (*MONITORS, *CRAWLERS, *SCANNERS))


def _names_one(agent: bytes) -> bool:
    """One after the other: for a pattern of all of them a long one would be milliseconds."""
    said = agent[:LONG].lower()
    return any(name in said for name in _NAMES)


# most say what others have said
_is_listed: Memo[bytes, bool] = Memo(_names_one)


def is_worthy(fields: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a daemon should run for a request with these fields."""
    for name, value in fields:
        if len(name) == 10 and name.lower() == b"user-agent" and _is_listed[value]:
            return False
    return True
