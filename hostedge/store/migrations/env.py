"""
What Alembic runs for every upgrade.

In:  `store.upgrade`, which hands the connection over.
Out: the steps of `versions/`, in one transaction.
"""

from alembic import context

from hostedge.store.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
