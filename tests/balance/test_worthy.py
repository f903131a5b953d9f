"""Who is worth that a daemon runs."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.worthy import CRAWLERS, MONITORS, SCANNERS, is_worthy

PROGRAMS = (
    b"Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)",
    b"Pingdom.com_bot_version_1.4_(http://www.pingdom.com/)",
    b"kube-probe/1.29",
    b"ELB-HealthChecker/2.0",
    b"Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    b"Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)",
    b"Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://x)",
    b"Mozilla/5.0 zgrab/0.x",
    b"sqlmap/1.7 (https://sqlmap.org)",
)
VISITORS = (
    b"Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/127.0.0.0 Safari/537.36 Edg/127.0.0.0",
    b"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    b"(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    b"Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    b"Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    b"facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
    b"curl/8.5.0",
    b"Sogou web spider/4.0(+http://www.sogou.com/docs/help/webmasters.htm#07)",
    b"Mozilla/5.0 (compatible;PetalBot;+https://webmaster.petalsearch.com/site/petalbot)",
    b"python-requests/2.32.3",
    b"Go-http-client/2.0",
    b"GitHub-Hookshot/a1b2c3",
    b"",
)


class WorthyTests(SynchronousTestCase):
    def test_programs(self) -> None:
        """Monitors, crawlers that bring nobody, and scanners are not."""
        for agent in PROGRAMS:
            fields = [(b"Host", b"a.test"), (b"user-AGENT", agent.upper())]
            self.assertFalse(is_worthy(fields), agent)

    def test_visitors(self) -> None:
        """Browsers, search engines, previews of links, webhooks and whatever says nothing are."""
        for agent in VISITORS:
            self.assertTrue(is_worthy([(b"User-Agent", agent)]), agent)
        self.assertTrue(is_worthy([]))
        self.assertTrue(is_worthy([(b"Referer", b"https://uptimerobot.com/")]))

    def test_eachByItself(self) -> None:
        """No name is there twice, or within another one, or so short that it fits by chance."""
        names = [name.lower() for name in (*MONITORS, *CRAWLERS, *SCANNERS)]
        for name in names:
            self.assertGreater(len(name), 4)
            self.assertEqual([other for other in names if name in other], [name])
