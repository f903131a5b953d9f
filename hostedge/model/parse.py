"""
Site files, API bodies and rows into the values of the model, and back.

In:  the command line and API with what an operator wrote; the store with its rows.
Out: `Site` and its parts, checked as a whole; `ConfigError` leads to the value that is wrong:
     `site.yaml: domains[2] (demo.localhost): mappings[1]: status`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from attrs import evolve, field, frozen

from hostedge.errors import ConfigError
from hostedge.model.chain import read_chain
from hostedge.model.keys import HOME_PATHS, REFERENCES, named_by, names_of
from hostedge.model.kind import Kind
from hostedge.model.names import (
    above_zero,
    between,
    environment,
    error_status,
    host_wanted,
    html_page,
    kept_fields,
    object_name,
    one_of,
    path_prefix,
    plain_text,
    relative_path,
    server_address,
    shown,
    site_name,
)
from hostedge.model.records import parse_zone, zone_document
from hostedge.model.shape import (
    Check,
    Document,
    Misfit,
    Shape,
    mapping,
    misfit,
    sequence,
    shape_of,
)
from hostedge.model.site import (
    Account,
    App,
    Certificate,
    Domain,
    ErrorPage,
    Mapping,
    Pool,
    Server,
    Site,
    Zone,
)

MAX_ALIASES = 1000
MAX_MAPPINGS = 1000

_VALUE_CHECKS: dict[str, Check] = {
    **dict.fromkeys(REFERENCES, object_name),
    **dict.fromkeys(HOME_PATHS, relative_path),
    "host": host_wanted,
    "keep": kept_fields,
}
_BUFFER = one_of("spool", "stream")

_ACCOUNT = shape_of(
    Account,
    {
        "name": object_name,
        "pids": between(1, 4_194_304),
        "weight": between(1, 10_000),
        "cpu_percent": between(0, 1_000_000),
        "starts": between(1, 64),
        "queue": between(0, 65_536),
        "view": one_of("all", "own"),
    },
)
_APP = shape_of(
    App,
    {
        "name": object_name,
        "directory": relative_path,
        "environment": environment,
        "queue": between(0, 65_536),
        "start_timeout": above_zero,
        "stop_timeout": above_zero,
        "buffer": _BUFFER,
        "keep": kept_fields,
        "reload": one_of("swap", "hold", "HUP", "USR1", "USR2"),
        "restart_file": relative_path,
    },
    skip="run",
)
_SERVER = shape_of(Server, {"address": server_address, "weight": between(0, 1000)})
_POOL = shape_of(
    Pool,
    {
        "name": object_name,
        "servers": sequence(_SERVER.read),
        "maxconn": between(1, 65_536),
        "queue": between(0, 65_536),
        "buffer": _BUFFER,
        "host": host_wanted,
        "keep": kept_fields,
        "proxy_protocol": one_of("off", "v1", "v2"),
    },
)
_CERTIFICATE = shape_of(
    Certificate, {"name": object_name, "names": sequence(site_name), "key": plain_text}
)
_ERROR_PAGE = shape_of(ErrorPage, {"status": error_status, "page": html_page})
_DOMAIN = shape_of(
    Domain,
    {
        "name": site_name,
        "aliases": sequence(site_name),
        "errors": sequence(_ERROR_PAGE.read),
        "encoded_slash": one_of("strictest", "allow", "reject"),
    },
    skip="mappings",
)
_MORE = ("mappings",)

Object = Account | App | Pool | Domain | Certificate | Zone
# Where in a site objects stand, in the order of a site file.
_PARTS: dict[type, str] = {
    App: "apps",
    Pool: "pools",
    Domain: "domains",
    Certificate: "certificates",
    Zone: "zones",
}


@frozen
class Words:
    """The words that a site file may use: the kinds of mappings, and the runtimes of apps."""

    mappings: tuple[Kind, ...]
    runtimes: tuple[Kind, ...]
    shapes: dict[str, Shape] = field(init=False, repr=False, eq=False)
    words: dict[type, str] = field(init=False, repr=False, eq=False)
    runs: dict[str, Shape] = field(init=False, repr=False, eq=False)

    @shapes.default
    def _shapes(self) -> dict[str, Shape]:
        shapes = {kind.word: shape_of(kind.value, _VALUE_CHECKS) for kind in self.mappings}
        for word, shape in shapes.items():
            if next(iter(shape.fields), None) != word:
                raise TypeError(f"the first field of {shape.cls} has to be called {word}")
            if mixed := ({"path", *shapes} & shape.fields.keys()) - {word}:
                raise TypeError(f"{mixed} in {shape.cls} would be another word of the site file")
        return shapes

    @words.default
    def _words(self) -> dict[type, str]:
        return {kind.value: kind.word for kind in self.mappings}

    @runs.default
    def _runs(self) -> dict[str, Shape]:
        runs = {kind.word: shape_of(kind.value, _VALUE_CHECKS) for kind in self.runtimes}
        for shape in runs.values():
            if mixed := _APP.fields.keys() & shape.fields.keys():
                raise TypeError(f"{mixed} in {shape.cls} is an option of every app")
        return runs


def parse_site(document: object, where: str, words: Words) -> Site:
    """
    Read all that one account has.

    Raises:
        ConfigError: naming `where` and the way to the value, and what is wanted there.
    """
    try:
        return _site(mapping(document), words)
    except Misfit as error:
        raise ConfigError(": ".join((where, *_joined(error.path))), error.problem) from None


def whole_site(account: Account, objects: Iterable[Object], where: str) -> Site:
    """
    Put objects of one account together and check them against each other.

    Raises:
        ConfigError: naming `where` and what does not fit.
    """
    parts: dict[str, list[Object]] = {}
    for each in objects:
        parts.setdefault(_PARTS[type(each)], []).append(each)
    site = Site(account, **{name: tuple(some) for name, some in parts.items()})  # type: ignore[arg-type]
    try:
        _check_whole(site)
    except Misfit as error:
        raise ConfigError(": ".join((where, *_joined(error.path))), error.problem) from None
    return site


def site_document(site: Site, words: Words) -> Document:
    """The same as keys and values for a site file: `parse_site` gives the same site back."""
    account = _ACCOUNT.write(site.account)
    document: Document = {"account": site.account.name if len(account) == 1 else account}
    for name in _PARTS.values():
        objects = getattr(site, name)
        if objects:
            document[name] = [object_document(each, words) for each in objects]
    return document


def parse_object(key: str, document: object, words: Words) -> Object:
    """
    Read one object of the kind that its key names.

    Raises:
        ConfigError: naming the key and the way to the value, and what is wanted there.
    """
    kind, _, rest = key.partition("/")
    try:
        made = _reader(kind, words)(document)
        if made.name != rest.rpartition("/")[2]:
            raise Misfit(f"want the name in the key, not {made.name}", ("name",))
    except Misfit as error:
        raise ConfigError(": ".join((key, *_joined(error.path))), error.problem) from None
    return made  # type: ignore[no-any-return]


def object_document(value: Object, words: Words) -> Document:
    """One object as keys and values, defaults left out."""
    if isinstance(value, Domain):
        return _domain_document(value, words)
    if isinstance(value, App):
        document = _APP.write(value)
        return {**document, **words.runs[value.runtime].write(value.run)}
    if isinstance(value, Pool):
        return _POOL.write(value)
    if isinstance(value, Certificate):
        return _CERTIFICATE.write(value)
    if isinstance(value, Zone):
        return zone_document(value)
    return _ACCOUNT.write(value)


def _reader(kind: str, words: Words) -> Any:
    if kind == "domain":
        return lambda document: _domain(mapping(document), words)
    if kind == "app":
        return lambda document: _app(mapping(document), words)
    if kind == "pool":
        return _pool
    if kind == "certificate":
        return _certificate
    if kind == "zone":
        return parse_zone
    if kind == "account":
        return _account
    raise Misfit("want account, app, pool, domain, certificate or zone before the first /")


def _joined(path: tuple[str, ...]) -> Iterator[str]:
    """The steps of a path, `domains` and `[2] (demo.localhost)` put together."""
    held = ""
    for step in path:
        if step.startswith("[") and held:
            held += step
            continue
        if held:
            yield held
        held = step
    if held:
        yield held


def _site(document: Document, words: Words) -> Site:
    readers: dict[str, Check] = {
        "account": _account,
        "apps": sequence(lambda item: _app(mapping(item), words)),
        "pools": sequence(_pool),
        "domains": sequence(lambda item: _domain(mapping(item), words)),
        "certificates": sequence(_certificate),
        "zones": sequence(parse_zone),
    }
    values: dict[str, Any] = {}
    for key, value in document.items():
        if key not in readers:
            raise Misfit(f"is not known here; known: {', '.join(readers)}", (str(key),))
        try:
            # `apps:` with nothing behind it is an empty list
            values[key] = readers[key]([] if value is None and key != "account" else value)
        except ValueError as error:
            raise misfit(error, key) from None
    if "account" not in values:
        raise Misfit("is missing", ("account",))
    site = Site(**values)
    _check_whole(site)
    return site


def _account(value: object) -> Account:
    if isinstance(value, dict):
        return _ACCOUNT.read(value)  # type: ignore[no-any-return]
    return Account(object_name(value))


def _app(document: Document, words: Words) -> App:
    runtime = document.get("runtime")
    shape = words.runs.get(runtime) if isinstance(runtime, str) else None
    if shape is None:
        raise Misfit(f"want one of {', '.join(words.runs)}, not {shown(runtime)}", ("runtime",))
    own = {key: value for key, value in document.items() if key in shape.fields}
    rest = {key: value for key, value in document.items() if key not in own}
    values = _APP.read_fields(rest, also=shape.fields)
    run = shape.make(shape.read_fields(own))
    return _APP.make({**values, "run": run})  # type: ignore[no-any-return]


def _pool(document: object) -> Pool:
    pool: Pool = _POOL.read(document)
    if not pool.servers:
        raise Misfit("want at least one server", ("servers",))
    _unique("servers", (server.address for server in pool.servers))
    return pool


def _domain(document: Document, words: Words) -> Domain:
    values = _DOMAIN.read_fields({k: v for k, v in document.items() if k != "mappings"}, _MORE)
    mappings = sequence(lambda item: _mapping(mapping(item), words))
    try:
        values["mappings"] = mappings(document.get("mappings") or [])
    except ValueError as error:
        raise misfit(error, "mappings") from None
    domain: Domain = _DOMAIN.make(values)
    if len(domain.aliases) > MAX_ALIASES or len(domain.mappings) > MAX_MAPPINGS:
        raise Misfit(f"want at most {MAX_ALIASES} aliases and {MAX_MAPPINGS} mappings")
    _unique("mappings", (each.path for each in domain.mappings))
    _unique("errors", (each.status for each in domain.errors))
    return domain


def _mapping(document: Document, words: Words) -> Mapping:
    found = [key for key in document if key in words.shapes]
    if len(found) != 1:
        raise Misfit(f"want exactly one of {', '.join(words.shapes)}")
    if "path" not in document:
        raise Misfit("is missing", ("path",))
    try:
        path = path_prefix(document["path"])
    except ValueError as error:
        raise misfit(error, "path") from None
    options = {key: value for key, value in document.items() if key != "path"}
    shape = words.shapes[found[0]]
    return Mapping(path, shape.make(shape.read_fields(options, also=("path",))))


def _domain_document(domain: Domain, words: Words) -> Document:
    document = _DOMAIN.write(domain)
    if domain.mappings:
        document["mappings"] = [_mapping_document(each, words) for each in domain.mappings]
    return document


def _mapping_document(each: Mapping, words: Words) -> Document:
    shape = words.shapes[words.words[type(each.to)]]
    # The word itself stays, also when its value is a default: it says which mapping this is.
    word = next(iter(shape.fields.values()))
    return {
        "path": each.path,
        word.name: word.write(getattr(each.to, word.name)),
        **shape.write(each.to),
    }


def _certificate(document: object) -> Certificate:
    """Names left out are those that the certificate is made out to."""
    values = mapping(document)
    made: Certificate = _CERTIFICATE.read({"names": [], **values})
    try:
        chain = read_chain(made.chain)
    except ValueError as error:
        raise misfit(error, "chain") from None
    for name in made.names:
        if not chain.covers(name):
            raise Misfit(f"the certificate is not made out to {name}", ("names",))
    _unique("names", made.names)
    return made if made.names else evolve(made, names=chain.names)


def _check_whole(site: Site) -> None:
    """Check what no part can know alone: names that must differ, and names of each other."""
    _unique("apps", (app.name for app in site.apps))
    _unique("pools", (pool.name for pool in site.pools))
    _unique("certificates", (each.name for each in site.certificates))
    _unique("zones", (zone.name for zone in site.zones))
    owners: dict[str, str] = {}
    for number, domain in enumerate(site.domains):
        for name in names_of(domain):
            if name in owners:
                step = f"domains[{number}] ({domain.name})"
                raise Misfit(f"{name} stands at {owners[name]} already", (step,))
            owners[name] = domain.name
    there = {
        "app": {app.name for app in site.apps},
        "pool": {pool.name for pool in site.pools},
    }
    for number, domain in enumerate(site.domains):
        for place, each in enumerate(domain.mappings):
            for option, kind, name in named_by(each.to):
                if name not in there[kind]:
                    step = f"domains[{number}] ({domain.name})"
                    problem = f"want the name of one of this account's {kind}s, not {name}"
                    raise Misfit(problem, (step, f"mappings[{place}]", option))


def _unique(what: str, names: Iterator[str] | tuple[str, ...]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise Misfit(f"{name} stands here twice", (what,))
        seen.add(name)
