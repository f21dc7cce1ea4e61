"""Database migrations, shipped with the package so that an installed Gridtide can upgrade."""
