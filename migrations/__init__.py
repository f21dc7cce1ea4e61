"""Alembic environment and revisions, as a package so that an installed wheel can upgrade."""
