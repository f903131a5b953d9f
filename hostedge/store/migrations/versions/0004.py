"""
The apps that run without having been asked for can be found.

In:  Alembic.
Out: an index of the few rows that say so.
"""

from alembic import op
from sqlalchemy import text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    always_on = text("json_extract(body, '$.always_on')")
    op.create_index("apps_always_on", "apps", ["account", "name"], sqlite_where=always_on)
