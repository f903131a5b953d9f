"""
The first tables.

In:  Alembic.
Out: objects, names, history and state.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _objects()
    op.create_table(
        "names",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "certificate_names",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, primary_key=True),
        sa.Column("certificate", sa.Text, primary_key=True),
        sa.Column("not_after", sa.Float, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "changes",
        sa.Column("revision", sa.Integer, primary_key=True),
        sa.Column("sequence", sa.Integer, primary_key=True),
        sa.Column("time", sa.Float, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
    )
    op.create_index("changes_by_key", "changes", ["key", "revision"])
    op.create_table(
        "certificates_issued",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("chain", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("not_after", sa.Float, nullable=False),
    )
    op.create_table(
        "secrets",
        sa.Column("reference", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _objects() -> None:
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "domains",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("domains_by_account", "domains", ["account"])
    for kind in ("apps", "pools", "certificates"):
        op.create_table(
            kind,
            sa.Column("account", sa.Text, primary_key=True),
            sa.Column("name", sa.Text, primary_key=True),
            sa.Column("body", sa.Text, nullable=False),
        )
