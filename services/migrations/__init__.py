"""The database's structure, step by step (Alembic)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config


async def upgrade(url: str) -> None:
    """Bring the database at ``url`` up to date; harmless where it is."""
    await asyncio.to_thread(_upgrade, url)


def _upgrade(url: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    command.upgrade(config, "head")
