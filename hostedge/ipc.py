"""
Every message between the node's processes.

In:  links (`net.link`) send and answer them.
Out: AMP commands, and the one answer that is handed on whole; no value may pass 64 KiB, so lists
     travel in pieces or not at all.

    edge, control, template -> keeper   Hello once after every (re)connect
    edge     -> keeper    Wake, Unwake, Ready, Failed, Activity
    keeper   -> edge      Expect, Probe, StopProbe, Moved, Quiesce, Retire, Cut, TakeListener,
                          Drain, InFlight
    keeper   -> template  Fork
    edge     -> control   Hello, Certify
    control  -> edge      Changed, Explain, Report, Refused, Sites, Backends, Evaluate
    control  -> keeper    Changed, Edges, Replace, Daemons, Daemon, Restart, Events, Journey,
                          DaemonCounts, Upgrade
"""

from __future__ import annotations

from attrs import frozen
from twisted.protocols.amp import (
    AmpList,
    Boolean,
    Command,
    Descriptor,
    Float,
    Integer,
    String,
    Unicode,
)


class Hello(Command):
    """Who is there. `started` is the process's start time in clock ticks after boot."""

    arguments = [
        (b"pid", Integer()),
        (b"started", Integer()),
        (b"role", Unicode()),
        (b"index", Integer()),
        # the newest store revision that this process has taken in
        (b"revision", Integer()),
        # of the code that it runs
        (b"version", Unicode(optional=True)),
    ]
    # the newest revision that the answering side knows
    response = [(b"revision", Integer())]


class Wake(Command):
    """
    Start this app or say where it is; answered once it is ready or refused.

    `app` is `account/name`; `host` is the name that the waking request asked for: a probe
    carries it. `refusal` is a cause of `errors.CAUSES`, empty when the app is ready;
    `retry` is in seconds.
    """

    arguments = [(b"app", Unicode()), (b"host", Unicode())]
    response = [
        (b"generation", Integer()),
        # `unix:/path` or `host:port`
        (b"address", Unicode()),
        (b"refusal", Unicode()),
        (b"retry", Float()),
    ]


@frozen
class Woken:
    """The answer to `Wake`: where an app is, or why it is nowhere and when to ask again."""

    generation: int = 0
    address: str = ""
    # a cause of `errors.CAUSES`
    refusal: str = ""
    retry: float = 0.0


class Unwake(Command):
    """Nobody waits for this app on this edge any more: its `Wake` is answered as refused."""

    arguments = [(b"app", Unicode())]


class Expect(Command):
    """A start of this app has begun that, as its last ones say, takes this many seconds."""

    arguments = [(b"app", Unicode()), (b"seconds", Float())]


class Probe(Command):
    """Find out when this generation answers; `Ready` or `Failed` follows."""

    arguments = [
        (b"app", Unicode()),
        (b"generation", Integer()),
        (b"address", Unicode()),
        (b"host", Unicode()),
        # True: the listener is held, one request waits in its backlog. False: poll the port
        (b"held", Boolean()),
    ]


class StopProbe(Command):
    """The generation that this edge probes is being started no more."""

    arguments = [(b"app", Unicode())]


class Ready(Command):
    """This generation has answered a probe."""

    arguments = [(b"app", Unicode()), (b"generation", Integer())]


class Failed(Command):
    """This generation cannot be probed; `cause` says why, for the event log."""

    arguments = [(b"app", Unicode()), (b"generation", Integer()), (b"cause", Unicode())]


class Activity(Command):
    """What an edge's apps are doing; at most 200 apps a message."""

    arguments = [
        (
            b"apps",
            AmpList(
                [
                    (b"app", Unicode()),
                    (b"generation", Integer()),
                    # requests that keep it awake: those on it and in line, and WebSockets
                    (b"in_flight", Integer()),
                    # seconds since there was a request that counts
                    (b"age", Float()),
                    # WebSockets that are open; those without data for long are not in flight
                    (b"sockets", Integer()),
                    # responses that were complete since the last report
                    (b"served", Integer()),
                ]
            ),
        )
    ]


@frozen
class Use:
    """One line of `Activity`."""

    # `account/name`
    app: str
    generation: int
    in_flight: int
    age: float
    sockets: int = 0
    served: int = 0


class Moved(Command):
    """From now on this generation at this address answers for the app."""

    arguments = [(b"app", Unicode()), (b"generation", Integer()), (b"address", Unicode())]


class Quiesce(Command):
    """After the answer `idle`, nothing goes to this generation before a new Wake or Moved."""

    arguments = [(b"app", Unicode()), (b"generation", Integer())]
    response = [(b"idle", Boolean())]


class Retire(Command):
    """Finish what runs on this old generation within `deadline` seconds; start nothing on it."""

    arguments = [(b"app", Unicode()), (b"generation", Integer()), (b"deadline", Float())]


class Cut(Command):
    """End everything of this account."""

    arguments = [(b"account", Unicode()), (b"reason", Unicode())]


class TakeListener(Command):
    """Hand over a duplicate of the public listener `index`; answers with what it is bound to."""

    arguments = [(b"index", Integer())]
    response = [
        # `http`, `https`, `dns-udp` or `dns-tcp`; empty: there is no such index
        (b"protocol", Unicode()),
        (b"address", Unicode()),
        (b"listener", Descriptor(optional=True)),
    ]


class Drain(Command):
    """
    Accept no more, finish what runs within `deadline` seconds, then exit. WebSockets are told
    to go after `sockets` seconds, at once without it.
    """

    arguments = [(b"deadline", Float()), (b"sockets", Float(optional=True))]


class Fork(Command):
    """Make an edge; it connects by itself."""

    arguments = [(b"index", Integer())]
    response = [(b"pid", Integer())]


class Certify(Command):
    """Have the local CA sign a name that has no certificate; it lies in the store afterwards."""

    arguments = [(b"name", Unicode())]
    # empty, or why not
    response = [(b"refusal", Unicode())]


class Evaluate(Command):
    """
    What an operator has typed for this edge in the manhole; one statement or expression.

    `printed` is what it printed, and its value as it is shown, or how it `failed`; cut to 60,000
    bytes.
    """

    arguments = [(b"source", Unicode())]
    response = [(b"printed", Unicode()), (b"failed", Boolean())]


class Changed(Command):
    """The store is at this revision: drop what changed; the answer says that it is done."""

    arguments = [(b"revision", Integer())]


class Explain(Command):
    """What would happen to a request for this URL: JSON of `routes.explain`."""

    arguments = [
        (b"url", Unicode()),
        (b"method", Unicode()),
        # what would have happened when the store was at this revision; 0: now
        (b"at", Integer()),
    ]
    response = [(b"steps", String())]


class Report(Command):
    """Counters and state of an edge, as JSON."""

    response = [(b"report", String())]


class Refused(Command):
    """
    Requests that an edge has refused, of one `cause`, for one host name or below it (`site`), and
    of one error `id`, each if it is given; the newest that are older than number `before`, 0: all.
    """

    arguments = [
        (b"before", Integer()),
        (b"cause", Unicode()),
        (b"site", Unicode()),
        (b"id", Unicode()),
    ]
    # JSON: a list of `observe.refused.tell`, as many as there is room for; empty: no more
    response = [(b"refused", String())]


class Sites(Command):
    """What an edge's active sites do, those that became so after number `after`; 0: all."""

    arguments = [(b"after", Integer())]
    # JSON: a list of `observe.sites.Activity.tell`, as many as there is room for; empty: no more
    response = [(b"sites", String())]


class Backends(Command):
    """What has gone to the apps and pools that an edge knows, those numbered beyond `after`."""

    arguments = [(b"after", Integer())]
    # JSON: a list of what `http.backends.Backends.page` says; empty: no more
    response = [(b"backends", String())]


class Edges(Command):
    """The edges that live, connected or not."""

    response = [
        (
            b"edges",
            AmpList(
                [
                    (b"index", Integer()),
                    (b"pid", Integer()),
                    (b"age", Float()),
                    # it drains, another has its place
                    (b"leaving", Boolean(optional=True)),
                ]
            ),
        )
    ]


class Replace(Command):
    """This edge did not answer: end it; answered when it has ended. A new one takes its place."""

    arguments = [(b"pid", Integer())]


class Daemons(Command):
    """The apps the keeper knows of, in order of name, after `after`; at most 25 an answer."""

    arguments = [(b"after", Unicode())]
    # JSON: a list of objects with app, state, reason, generation, pid, in_flight, and the seconds
    # `since` the state began and `idle` since the last request. And, where it is known: `next`,
    # what its timer does and in how many seconds: {"what", "seconds"}; of all its processes
    # `pids`, how many with their threads, `memory`, bytes, and `cpu`, seconds; `start`, how the
    # last start went: `supervise.journey.summary`
    response = [(b"apps", String())]


class Daemon(Command):
    """One app: an object like those of `Daemons`, or null when the keeper knows nothing of it."""

    arguments = [(b"app", Unicode())]
    response = [(b"app", String())]


class Restart(Command):
    """Swap an app for a new generation, or clear its failures."""

    arguments = [(b"app", Unicode())]
    # empty, or why not
    response = [(b"refusal", Unicode())]


class Upgrade(Command):
    """Have every process of the node go on as the code that is on the disk now."""

    # empty, or why not
    response = [(b"refusal", Unicode())]


class Events(Command):
    """
    What has happened to apps after event number `after`, oldest first; answered at once if there
    is something, else with `wait` when there is, at the latest after 20 seconds. `after` below 0:
    the last so many, at once.

    `app` is one app or `account/` for all of an account; empty: every app.
    """

    arguments = [(b"after", Integer()), (b"app", Unicode()), (b"wait", Boolean())]
    # JSON: a list of `supervise.events.Event.tell`, as many as there is room for
    response = [(b"events", String())]


class Journey(Command):
    """The last start of an app that failed: JSON of `supervise.journey`, null if there is none."""

    arguments = [(b"app", Unicode())]
    response = [(b"journey", String())]


class DaemonCounts(Command):
    """What is counted of apps."""

    # JSON: `supervise.chronicle.Chronicle.counts`, and `apps`: how many by state
    response = [(b"counts", String())]


class InFlight(Command):
    """The requests that a generation had when its last connections broke, seconds ago."""

    arguments = [(b"app", Unicode()), (b"generation", Integer())]
    # JSON: a list of at most 20 objects: `http.last_requests.LastRequests.of`
    response = [(b"requests", String())]
