"""
What an edge counts: plain integers with fixed names.

In:  `make_counters` once for each edge; shells add to what they were given.
Out: a dict that `Report` and the metrics show as it is.

A name that is not listed here is a KeyError where it is counted, not a new metric.
"""

from __future__ import annotations

from hostedge.errors import CAUSES

Counters = dict[str, int]

# what a client of HTTP/2 can send too much of
H2_FLOODS = {
    "resets": "streams reset, cancelled or at fault",
    "pings": "pings",
    "settings": "changes of settings",
    "updates": "updates of windows",
    "empty": "frames of data without any",
    "useless": "frames that nothing is done for",
    "overhead": "frames around nothing",
    "headers": "a header block without an end, or that unfolds to too much",
}

NAMES: dict[str, str] = {
    "http_connections": "connections of clients that were accepted",
    "source_full": "connections ended because their source held as many as it may",
    "accept_paused": "times that no connection was accepted, since the edge was at its end",
    "idle_shortened": "times that idle connections got less time, since the edge was hard pressed",
    "http_requests": "requests with a valid head",
    "rate_dry_run": "requests that a site's rate would refuse, were it no dry run",
    "fields_dropped": "fields of requests kept from apps: they could be taken for others",
    "fields_kept": "of these, those that a mapping keeps after all",
    "http_client_gone": "requests whose client left before the whole answer was sent",
    "http_aborted": "answers that were broken off because what answers had failed",
    "http_write_stalled": "connections ended because the client read nothing for too long",
    "h2_connections": "connections that were asked to speak HTTP/2",
    "h2_cancelled": "requests that were cancelled before anything was done for them",
    "h2_refused_streams": "requests that were not let in because too many were open",
    "h2_malformed": "requests that were reset because they break the rules of HTTP/2",
    "h2_floods": "connections ended because of what costs us more than the client",
    **{f"h2_flood_{kind}": f"of these, by {what}" for kind, what in H2_FLOODS.items()},
    "h2_shed": "answers reset because the client left too much of all its answers unread",
    "h2_broken": "connections ended because what came was not HTTP/2",
    "upstream_connects": "connections made to apps and servers",
    "upstream_connect_failed": "connections that could not be made",
    "upstream_reused": "requests sent on a connection that had served one before",
    "upstream_idle_bytes": "connections dropped because bytes came while nothing was asked",
    "upstream_retries": "requests that were sent once more",
    "websocket_opened": "WebSockets opened",
    "websocket_client_broke": "WebSockets whose client broke the protocol or a limit",
    "websocket_app_broke": "WebSockets whose app or server did",
    "websocket_floods": "of these, those that sent too many frames with nothing in them",
    "websocket_idle": "WebSockets ended because nothing came from either side",
    "websocket_stalled": "WebSockets ended because one side read nothing for too long",
    "app_wakes": "apps asked for at the keeper",
    "proxy_untrusted": "connections to a port for proxies from an address that is not trusted",
    "proxy_refused": "connections to a port for proxies that do not begin with a valid header",
    "proxy_timeout": "connections to a port for proxies whose header took too long",
    "proxy_gone": "connections to a port for proxies that ended before their header did",
    "failures": "failures of our own code; of each kind one a second is written to the log",
    "access_log_lost": "lines of the access log that could not be written",
    "access_log_omitted": "lines not written of refusals of which one a second is: of a flood",
    "tls_handshakes": "handshakes completed",
    "tls_resumed": "handshakes that resumed a session",
    "tls_older": "handshakes completed of TLS 1.2",
    "tls_older_resumed": "handshakes of TLS 1.2 that resumed a session",
    "tls_source_full": "hellos refused because their source has begun too many handshakes",
    "tls_struck": "hellos refused because a connection of their source was ended for a flood",
    "tls_strained": "hellos refused because the edge is late and has begun as many as it can bear",
    "tls_refused": "hellos that were refused as not valid",
    "tls_plain": "connections that spoke plain HTTP on a TLS port",
    "tls_unknown_name": "hellos for a name that is not served",
    "tls_no_certificate": "hellos for a name whose certificate could not be had",
    "tls_no_protocol": "hellos that offered only protocols not spoken here",
    "tls_timeout": "hellos and handshakes that took too long",
    "tls_gone": "connections that ended before their handshake was over",
    "tls_failed": "handshakes that broke off",
    "tls_truncated": "connections that ended without a word",
    "tls_reset": "connections that were reset",
    "tls_broken": "connections that sent something that is not TLS",
    "tls_flood": "connections ended because of too many key updates or alerts",
    "dns_queries": "DNS messages that came",
    "dns_misses": "DNS messages whose answer was not kept, or not as it was wanted",
    "dns_noerror": "DNS answers with code NOERROR, with or without data",
    "dns_formerr": "DNS answers with code FORMERR: the message was none",
    "dns_servfail": "DNS answers with code SERVFAIL: a failure of ours",
    "dns_nxdomain": "DNS answers with code NXDOMAIN",
    "dns_notimp": "DNS answers with code NOTIMP: another operation than a query",
    "dns_refused": "DNS answers with code REFUSED: no zone of ours, or a type that is none",
    "dns_notauth": "DNS answers with code NOTAUTH: signed with a key",
    "dns_badvers": "DNS answers with code BADVERS: another version of EDNS",
    "dns_badcookie": "DNS answers with code BADCOOKIE: asked whether a cookie is ours",
    "dns_truncated": "DNS answers that did not fit into a datagram",
    "dns_dropped": "DNS messages that want no answer: responses, and what is no message",
    "dns_tcp_connections": "connections of DNS clients that were accepted",
    "dns_tcp_displaced": "DNS connections ended because another client needed the place",
    "dns_tcp_stalled": "DNS connections ended because the client left answers unread",
    "dns_udp_lost": "answers to datagrams that the kernel did not take",
    "dns_udp_oversized": "datagrams dropped because no question is that long: over 1472 bytes",
    "dns_failed": "questions that got no answer because answering failed",
    **{f"refused_{cause}": f"answered {CAUSES[cause].status}: {cause}" for cause in CAUSES},
}


def make_counters() -> Counters:
    """Give every counter at zero."""
    return dict.fromkeys(NAMES, 0)
