"""
The `hostedge` command: its words, and who does what they say.

In:  the shell, through the console script of the package.
Out: exit status 0; 1 with one line on stderr, the operator has to change something; 2 for a
     command that is written wrongly.

Nothing but argparse is imported before the words are understood.
"""

from __future__ import annotations

import os
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from importlib import import_module

SYSTEM_SETTINGS = "/etc/hostedge/hostedge.toml"
LOCAL_SETTINGS = "etc/hostedge.toml"

KEY = "only of app/demo/hello, of all below app/demo/, or of a host name's domain"
WHEN = "a revision, or a time: 2026-11-22T10:00Z, 2h"
# as `cli.rates` has them, which is imported only when somebody looks
ORDERS = ("requests", "errors", "waiting", "in_flight", "p50", "p95", "bytes", "site")
SORT = f"{', '.join(ORDERS[:-1])} or {ORDERS[-1]}"
ERROR_ID = "an error id or its end, as the page and the log have it: show all of this one"
ORIGIN = "the zone, where the file has neither SOA nor $ORIGIN"

EPILOG = f"""\
The settings file is the one that --settings names, else $HOSTEDGE_SETTINGS,
else {LOCAL_SETTINGS} below the working directory,
else {SYSTEM_SETTINGS}.
The node itself is started by `twistd -n hostedge --settings FILE`.
"""


def default_settings() -> str:
    """The settings file when none is named on the command line."""
    named = os.environ.get("HOSTEDGE_SETTINGS")
    if named:
        return named
    return LOCAL_SETTINGS if os.path.exists(LOCAL_SETTINGS) else SYSTEM_SETTINGS


def make_parser() -> ArgumentParser:
    """Every word of the command line; `run` names the function that does it."""
    general = ArgumentParser(add_help=False)
    general.add_argument("--settings", metavar="FILE", default=SUPPRESS, help="the settings file")
    general.add_argument("--json", action="store_true", default=SUPPRESS, help="print JSON")
    parser = ArgumentParser(
        prog="hostedge",
        description="Change and inspect a hostedge node.",
        epilog=EPILOG,
        parents=[general],
        formatter_class=RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="COMMAND", required=True)

    def verb(name: str, run: str, text: str) -> ArgumentParser:
        added = verbs.add_parser(name, help=text, description=text, parents=[general])
        added.set_defaults(run=run)
        return added

    added = verb("apply", "apply:apply", "make accounts have exactly what a site file says")
    added.add_argument("file", metavar="FILE", help="YAML, one document an account; - is stdin")
    added.add_argument("--dry-run", action="store_true", help="only say what would change")
    added = verb("export", "stored:export", "print what accounts have, as a site file")
    added.add_argument("account", metavar="ACCOUNT", nargs="?", help="only this one")
    added = verb("changes", "history:changes", "list what was changed, when and by whom")
    added.add_argument("key", metavar="KEY", nargs="?", default="", help=KEY)
    added.add_argument("--since", metavar="REVISION", default="", help=f"only after {WHEN}")
    added = verb("diff", "history:diff", "show what a revision has changed")
    added.add_argument("revision", metavar="REVISION", help=f"{WHEN}; or FROM..TO")
    added.add_argument("key", metavar="KEY", nargs="?", default="", help=KEY)
    text = "put back what a revision has changed, unless that was changed again"
    added = verb("undo", "history:undo", text)
    added.add_argument("revision", metavar="REVISION", help="as `changes` lists it")
    added.add_argument("--dry-run", action="store_true", help="only say what would change")
    added = verb("backup", "stored:backup", "write a copy of the route store")
    added.add_argument("file", metavar="FILE", help="where to; replaced when it is there")
    verb("status", "running:status", "show the node's processes, listeners and counters")
    _add_daemons(verb)
    added = verb("restart", "running:restart", "swap an app's processes for new ones")
    added.add_argument("app", metavar="ACCOUNT/APP")
    verb("upgrade", "upgrade:upgrade", "have the node go on as the code that is installed now")
    added = verb("explain", "running:explain", "tell what happens to a request, and why")
    added.add_argument("url", metavar="URL")
    added.add_argument("--method", default="GET", help="GET unless given")
    added.add_argument("--at", metavar="REVISION", default="", help=f"as it was at {WHEN}")
    added = verb("top", "top:top", "show what sites are doing now, the busiest first")
    added.add_argument("--sort", metavar="KEY", choices=ORDERS, default=ORDERS[0], help=SORT)
    added.add_argument("--every", metavar="SECONDS", type=float, default=2.0, help="2 unless given")
    added.add_argument("--once", action="store_true", help="print one table and end")
    added = verb("refused", "refused:refused", "list requests that were refused, or show one")
    added.add_argument("id", metavar="ID", nargs="?", default="", help=ERROR_ID)
    added.add_argument("--cause", metavar="CAUSE", default="", help="only for this reason")
    added.add_argument("--site", metavar="NAME", default="", help="only of this host, or below it")
    _add_zone(verb, general)
    added = verb("manhole", "manhole:manhole", "look inside the node, in Python; help() there")
    added.add_argument("-c", dest="command", metavar="SOURCE", help="run this, then leave")
    verb("doctor", "doctor:doctor", "check the machine, the settings and the state folder")
    added = verb("demo", "demo:demo", "start a node, apply a site file, show what to open")
    added.add_argument("file", metavar="FILE", help="the site file")
    return parser


def _add_daemons(verb: Callable[[str, str, str], ArgumentParser]) -> None:
    """`hostedge apps` and what else one wants to know of daemons."""
    added = verb("apps", "daemons:apps", "list apps that run, start, or fail; or tell all of one")
    text = "all of this app, with its last start that failed; of an account: its apps"
    added.add_argument("name", metavar="ACCOUNT[/APP]", nargs="?", default="", help=text)
    last = "the last so many; {} unless given"
    added = verb("logs", "follow:logs", "print what an app has written")
    added.add_argument("app", metavar="ACCOUNT/APP")
    added.add_argument("-f", "--follow", action="store_true", help="and what it goes on to write")
    added.add_argument("-n", "--lines", metavar="N", type=int, default=100, help=last.format(100))
    added = verb("events", "follow:events", "print what has happened to apps")
    text = "only of this app, or of all of an account"
    added.add_argument("app", metavar="ACCOUNT[/APP]", nargs="?", default="", help=text)
    added.add_argument("-f", "--follow", action="store_true", help="and what goes on to happen")
    added.add_argument("-n", "--lines", metavar="N", type=int, default=50, help=last.format(50))
    text = "all since then, however many: 2026-11-22T10:00Z, 2h"
    added.add_argument("--since", metavar="TIME", default="", help=text)
    added = verb("suspend", "daemons:suspend", "stop an account's apps, answer 503 for its sites")
    added.add_argument("account", metavar="ACCOUNT")
    added = verb("resume", "daemons:resume", "serve a suspended account again")
    added.add_argument("account", metavar="ACCOUNT")


def _add_zone(verb: Callable[[str, str, str], ArgumentParser], general: ArgumentParser) -> None:
    """`hostedge zone` and its words."""
    zone = verb("zone", "", "show, import and check DNS zones, in the form of zone files")
    words = zone.add_subparsers(metavar="WORD", required=True)

    def word(name: str, run: str, text: str) -> ArgumentParser:
        added = words.add_parser(name, help=text, description=text, parents=[general])
        added.set_defaults(run=f"zone:{run}")
        return added

    added = word("show", "show", "print a zone as it is served")
    added.add_argument("name", metavar="NAME")
    added = word("import", "import_zone", "make a zone file a zone of an account")
    added.add_argument("file", metavar="FILE", help="a zone file (RFC 1035); - is stdin")
    added.add_argument("--account", metavar="ACCOUNT", required=True, help="whose it shall be")
    added.add_argument("--origin", metavar="NAME", default="", help=ORIGIN)
    added.add_argument("--skip-unsupported", action="store_true", help="leave other types out")
    added.add_argument("--dry-run", action="store_true", help="only say what would change")
    added = word("check", "check", "look for mistakes in a zone file, a zone, or all zones")
    text = "a zone of the node, or a zone file; - is stdin; without it all zones"
    added.add_argument("zone", metavar="NAME|FILE", nargs="?", default="", help=text)
    added.add_argument("--origin", metavar="NAME", default="", help=ORIGIN)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; answers the exit status."""
    options = make_parser().parse_args(arguments)
    options.settings = getattr(options, "settings", None) or default_settings()
    options.json = getattr(options, "json", False)
    from hostedge.errors import ConfigError

    try:
        return _run(options)
    except ConfigError as error:
        print(f"hostedge: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # whoever read our output has had enough; nothing may be written there at exit either
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130


def _run(options: Namespace) -> int:
    module, _, function = options.run.partition(":")
    status: int = getattr(import_module(f"hostedge.cli.{module}"), function)(options)
    sys.stdout.flush()
    return status


if __name__ == "__main__":
    sys.exit(main())
