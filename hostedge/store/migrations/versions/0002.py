"""
Zones; names know their account, and stand directly before the names below them.

In:  Alembic.
Out: the table of zones, empty; the rows of `names` in their new order.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "zones",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("place", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("shared", sa.Boolean, nullable=False),
        sa.Column("serial", sa.Integer, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("zones_by_place", "zones", ["place"], unique=True)
    op.create_index("zones_by_account", "zones", ["account"])
    op.rename_table("names", "names_before")
    op.create_table(
        "names",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("domain", sa.Text, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    # labels were put together by dots; every dot of a name was one between two labels
    op.execute(
        "INSERT INTO names SELECT replace(n.name, '.', '!'), n.domain, d.account"
        " FROM names_before n JOIN domains d ON d.name = n.domain ORDER BY 1"
    )
    op.create_index("names_by_account", "names", ["account", "name"])
    op.drop_table("names_before")
