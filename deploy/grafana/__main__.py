"""``make dashboards``: writes the dashboards as JSON for Grafana into dashboards/ beside this file."""

from __future__ import annotations

from deploy.grafana.made import FOLDER, made

for name, text in made().items():
    (FOLDER / name).write_text(text, encoding="utf-8")
