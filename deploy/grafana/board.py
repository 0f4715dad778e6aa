"""The parts of all dashboards: panels that query Prometheus, and the dashboard around them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import (
    Dashboard,
    DashboardLink,
    DatasourceVariable,
    Row,
    ThresholdsConfig,
)
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as StatPanel
from grafana_foundation_sdk.builders.table import Panel as TablePanel
from grafana_foundation_sdk.builders.timeseries import Panel as LinesPanel
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    DataSourceRef,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TooltipDisplayMode,
)
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataTransformerConfig,
    Threshold,
    ThresholdsMode,
)
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

__all__ = ["Dashboard", "Row", "alerts", "board", "lines", "stat"]

SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
_TAG = "motes"
_GREEN, _YELLOW, _RED = "green", "yellow", "red"
Panel = StatPanel | LinesPanel | TablePanel


def board(uid: str, title: str, description: str, rows: Mapping[str, Iterable[Panel]]) -> Dashboard:
    """A dashboard: rows of panels by heading, with links to all other dashboards."""
    made = (
        Dashboard(f"Motes / {title}")
        .uid(f"motes-{uid}")
        .description(description)
        .tags([_TAG])
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .with_variable(DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
        .link(DashboardLink("Motes").type(DashboardLinkType.DASHBOARDS).tags([_TAG]).keep_time(True).include_vars(True))
    )
    number = 0
    for heading, panels in rows.items():
        made = made.with_row(Row(heading))
        for panel in panels:
            number += 1
            made = made.with_panel(panel.id(number))
    return made


def stat(
    title: str,
    description: str,
    expr: str,
    *,
    unit: str = "short",
    bad: float | None = None,
    worse: float | None = None,
    decimals: int | None = None,
) -> StatPanel:
    """One number with a sparkline: yellow from ``bad`` on, red from ``worse`` on.

    If ``worse`` is below ``bad``, low values are bad: red below ``worse``, yellow below ``bad``.
    """
    steps = [Threshold(None, _GREEN)]
    if bad is not None and worse is not None and worse < bad:
        steps = [Threshold(None, _RED), Threshold(worse, _YELLOW), Threshold(bad, _GREEN)]
    else:
        steps += [Threshold(value, colour) for value, colour in ((bad, _YELLOW), (worse, _RED)) if value is not None]
    panel = (
        StatPanel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .thresholds(ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(steps))
        .color_mode(BigValueColorMode.VALUE)
        .graph_mode(BigValueGraphMode.AREA)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]))
        .with_target(_query(expr, "", "A"))
        .height(4)
        .span(4)
    )
    return panel if decimals is None else panel.decimals(decimals)


def lines(
    title: str,
    description: str,
    queries: Mapping[str, str],
    *,
    unit: str = "short",
    stacked: bool = False,
    top: float | None = None,
    span: Literal[8, 12, 24] = 12,
) -> LinesPanel:
    """Lines over time: PromQL by legend, which may contain ``{{label}}`` for the values of labels."""
    panel = (
        LinesPanel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .fill_opacity(30 if stacked else 8)
        .legend(
            VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.TABLE)
            .placement(LegendPlacement.BOTTOM)
            .calcs(["lastNotNull", "max"])
        )
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .height(9)
        .span(span)
    )
    if stacked:
        panel = panel.stacking(StackingConfig().mode(StackingMode.NORMAL))
    if top is not None:
        panel = panel.max(top)
    for number, (legend, expr) in enumerate(queries.items()):
        panel = panel.with_target(_query(expr, legend, chr(ord("A") + number)))
    return panel


def alerts() -> TablePanel:
    """The alerts of Motes that are pending or firing."""
    drop = {"Time": True, "__name__": True, "Value": True}
    return (
        TablePanel()
        .title("Alerts")
        .description("Firing and pending alerts. docs/runbooks.md has a section for each.")
        .datasource(SOURCE)
        .no_value("no alerts")
        .with_target(_query('ALERTS{alertname=~"Motes.+"}', "", "A").instant().format(PromQueryFormat.TABLE))
        .with_transformation(DataTransformerConfig(id_val="organize", options={"excludeByName": drop}))
        .height(6)
        .span(24)
    )


def _query(expr: str, legend: str, name: str) -> Dataquery:
    return Dataquery().datasource(SOURCE).expr(expr).legend_format(legend).ref_id(name).range()
