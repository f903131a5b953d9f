"""
What names led to before.

In:  Alembic.
Out: `names_lost`, filled from the history that is there.
"""

import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    lost = op.create_table(
        "names_lost",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    connection = op.get_bind()
    history = connection.exec_driver_sql(
        "SELECT revision, before, after FROM changes"
        " WHERE key >= 'domain/' AND key < 'domain0' AND before IS NOT NULL"
    )
    for number, before, after in history.fetchall():
        domain = json.loads(before)["name"]
        for name in sorted(_names(before) - _names(after)):
            place = "!".join(reversed(name.split(".")))
            values = {"name": place, "revision": number, "domain": domain}
            connection.execute(lost.insert().values(values))


def _names(body: str | None) -> set[str]:
    document = json.loads(body) if body else None
    return {document["name"], *document.get("aliases", ())} if document else set()
