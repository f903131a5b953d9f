"""
Small words for tests of the model and the store, and sites made of them.
"""

from __future__ import annotations

import datetime
from functools import cache
from typing import Literal

from attrs import field, frozen, validators
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import strategies as st

from hostedge.model.parse import Words
from hostedge.model.site import Account, App, Domain, Mapping, Pool, Record, Server, Site, Zone


@frozen
class ToApp:
    app: str
    websocket: bool = False


@frozen
class ToPool:
    pool: str


@frozen
class Files:
    static: str
    expires: float = 0.0
    fallthrough: str | None = None


@frozen
class Elsewhere:
    redirect: str
    status: int = field(default=308, validator=validators.in_((301, 302, 307, 308)))


@frozen
class Hook:
    word: str
    times: dict[str, str] = field(factory=dict)


@frozen
class Script:
    command: tuple[str, ...]
    processes: int = field(default=1, validator=validators.ge(1))
    mode: Literal["fast", "safe"] = "safe"
    hook: Hook | None = None


@frozen
class Word:
    word: str
    value: type


WORDS = Words(
    (
        Word("app", ToApp),
        Word("pool", ToPool),
        Word("static", Files),
        Word("redirect", Elsewhere),
    ),
    (Word("script", Script),),
)


def site(account: str = "demo", **names: tuple[str, ...]) -> Site:
    """An account whose domains, with these aliases, lead to its one app and its one pool."""
    mappings = (Mapping("/", ToApp("web")), Mapping("/old", ToPool("legacy")))
    return Site(
        Account(account),
        apps=(App("web", "script", Script(("run",))),),
        pools=(Pool("legacy", (Server("10.0.0.1:80"),)),),
        domains=tuple(
            Domain(name.replace("_", "."), aliases, mappings) for name, aliases in names.items()
        ),
    )


@cache
def pair(*names: str, days: int = 1) -> tuple[str, str]:
    """A certificate made out to these names, and its private key, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    start = datetime.datetime(2030, 1, 1, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(x509.Name([]))
        .public_key(key.public_key())
        .serial_number(days)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
    )
    if names:
        alternative = x509.SubjectAlternativeName(
            [x509.RFC822Name(name) if "@" in name else x509.DNSName(name) for name in names]
        )
        certificate = certificate.add_extension(alternative, critical=False)
    return (
        certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode(),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode(),
    )


_names = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)
_labels = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)
_hosts = st.lists(_labels, min_size=1, max_size=4).map(".".join)
_site_names = _hosts | _hosts.map("*.{}".format)
_texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
_paths = st.lists(_labels, max_size=3).map(lambda parts: "/" + "/".join(parts))
_folders = st.lists(_labels, min_size=1, max_size=3).map("/".join) | st.just(".")
_durations = st.sampled_from([0.0, 0.25, 1.0, 59.0, 90.0, 3600.0, 5400.0, 86400.0]) | st.floats(
    0, 1e8, allow_subnormal=False
)


def _targets(apps: list[str], pools: list[str]) -> st.SearchStrategy[object]:
    some = [
        st.builds(Elsewhere, _texts, st.sampled_from([301, 302, 307, 308])),
        st.builds(Files, _folders, _durations, st.sampled_from([None, *apps])),
    ]
    if apps:
        some.append(st.builds(ToApp, st.sampled_from(apps), st.booleans()))
    if pools:
        some.append(st.builds(ToPool, st.sampled_from(pools)))
    return st.one_of(some)


_runs = st.builds(
    Script,
    st.lists(_texts, max_size=3).map(tuple),
    st.integers(1, 100),
    st.sampled_from(["fast", "safe"]),
    st.none() | st.builds(Hook, _texts, st.dictionaries(_texts, _texts, max_size=2)),
)
_servers = st.builds(
    Server, st.sampled_from(["a.example:80", "[::1]:8080", "unix:/run/x"]), st.integers(0, 1000)
)

_record_names = st.sampled_from(["@", "*", "www", "mail", "_443._tcp.www", "a.b", "*.a"])
_record_data = {
    "A": st.sampled_from(["192.0.2.1", "192.0.2.2", "10.0.0.1"]),
    "AAAA": st.sampled_from(["2001:db8::1", "::1"]),
    "MX": st.sampled_from(["10 mail.example.org.", "0 ."]),
    "TXT": st.sampled_from(['"v=spf1 -all"', '"a\\"b" "c"', '"\\195\\164"']),
    "CAA": st.just('0 issue "ca.example"'),
    "SRV": st.just("0 5 443 www.example.org."),
    "HTTPS": st.just('1 . alpn="h2"'),
}
_ttls = st.sampled_from([None, 0.0, 300.0, 3600.0, 2.0**31 - 1])


@st.composite
def zones(draw: st.DrawFn, names: st.SearchStrategy[str] = _hosts) -> Zone:
    """Zones without aliases and delegations, whose rules are tested on their own."""
    times: dict[tuple[str, str], float | None] = {}
    records: dict[tuple[str, str, str], Record] = {}
    for name, kind in draw(
        st.lists(st.tuples(_record_names, st.sampled_from(sorted(_record_data))), max_size=6)
    ):
        data = draw(_record_data[kind])
        ttl = times.setdefault((name, kind), draw(_ttls))
        records.setdefault((name, kind, data), Record(name, kind, data, ttl))
    return Zone(draw(names), tuple(records.values()), draw(_ttls.filter(bool)), draw(st.booleans()))


@st.composite
def sites(draw: st.DrawFn) -> Site:
    """Any site that may be."""
    apps = draw(st.lists(_names, max_size=3, unique=True))
    pools = draw(st.lists(_names, max_size=2, unique=True))
    hosts = draw(st.lists(_site_names, max_size=6, unique=True))
    cut = draw(st.integers(0, len(hosts)))
    domains = []
    for name in hosts[:cut]:
        paths = draw(st.lists(_paths, max_size=4, unique=True))
        mappings = tuple(Mapping(path, draw(_targets(apps, pools))) for path in paths)
        domains.append(Domain(name, (), mappings))
    if domains:
        domains[0] = Domain(domains[0].name, tuple(hosts[cut:]), domains[0].mappings)
    return Site(
        Account(draw(_names), draw(st.booleans())),
        tuple(
            draw(
                st.builds(
                    App,
                    st.just(name),
                    st.just("script"),
                    _runs,
                    directory=_folders,
                    environment=st.dictionaries(st.sampled_from(["A", "B_1"]), _texts),
                    idle=_durations,
                    queue=st.integers(0, 1000),
                    buffer=st.sampled_from(["spool", "stream"]),
                )
            )
            for name in apps
        ),
        tuple(
            Pool(name, tuple(draw(st.lists(_servers, min_size=1, unique_by=lambda s: s.address))))
            for name in pools
        ),
        tuple(domains),
        zones=tuple(draw(st.lists(zones(), max_size=2, unique_by=lambda zone: zone.name))),
    )
