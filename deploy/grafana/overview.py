"""The overview: whether everything works, and what is going on."""

from __future__ import annotations

from deploy.grafana.board import Dashboard, alerts, board, lines, stat


def overview() -> Dashboard:
    """The dashboard to start with."""
    return board(
        "overview",
        "Overview",
        "Does everything work, and what is going on? The other dashboards show why.",
        {
            "Now": [
                stat("Active systems", "Particle systems that exist.", "max(motes_active_systems)"),
                stat(
                    "Waiting tasks",
                    "Tasks that are ready to run, of all priorities.",
                    "sum(priority:motes_queue_tasks:max)",
                ),
                stat(
                    "Oldest waiting task",
                    "How long it has been waiting.",
                    "max(priority:motes_queue_oldest_seconds:max)",
                    unit="s",
                    bad=300,
                    worse=1800,
                ),
                stat(
                    "Failed renders",
                    "Share of the renders that ended in the last hour, not counting cancelled ones.",
                    'motes:slo_errors:ratio_rate1h{slo="renders"}',
                    unit="percentunit",
                    bad=0.01,
                    worse=0.1,
                ),
                stat(
                    "Worker slots",
                    "Tasks that can run at the same time.",
                    "motes:worker_slots:sum",
                    bad=1,
                    worse=0.5,
                ),
                stat(
                    "Storage free",
                    "Bytes; not available for object stores.",
                    "min(motes_storage_free_bytes)",
                    unit="bytes",
                    bad=20e9,
                    worse=5e9,
                ),
                alerts(),
            ],
            "Renders": [
                lines(
                    "Open renders",
                    "Queued: not started. Rendering: started but not finished.",
                    {"{{status}}": 'status:motes_jobs:sum{status=~"queued|rendering"}'},
                    stacked=True,
                ),
                lines(
                    "Renders ended, per minute",
                    "By outcome.",
                    {"{{outcome}}": "60 * sum by (outcome) (rate(motes_jobs_ended_total[$__rate_interval]))"},
                    stacked=True,
                ),
                lines(
                    "Submission to video",
                    "How long clients waited for completed renders.",
                    {
                        "50 % within": _quantile(0.5, "motes_job_seconds"),
                        "95 % within": _quantile(0.95, "motes_job_seconds"),
                    },
                    unit="s",
                ),
                lines(
                    "Submission to start",
                    "How long renders waited for a worker.",
                    {
                        "50 % within": _quantile(0.5, "motes_job_wait_seconds"),
                        "95 % within": _quantile(0.95, "motes_job_wait_seconds"),
                    },
                    unit="s",
                ),
                lines(
                    "Real-time factor",
                    "Seconds of video rendered per second of one slot, by type; above 1 is faster than playback.",
                    {"{{particle_type}}": "particle_type:motes_realtime_factor:ratio_rate5m"},
                ),
                lines(
                    "Frames rendered",
                    "Per second, by all workers.",
                    {
                        "{{particle_type}}": "sum by (particle_type) "
                        "(rate(motes_frames_rendered_total[$__rate_interval]))"
                    },
                    stacked=True,
                ),
            ],
            "Objectives": [
                lines(
                    "Error budget left",
                    "At the error rate of the last three days. 1: no errors; below 0: more errors than 30 days allow.",
                    {"{{slo}}": "1 - motes:slo_errors:ratio_rate3d / on (slo) motes:slo_budget:ratio"},
                    unit="percentunit",
                ).min(-1),
                lines(
                    "Burn rate of the last hour",
                    "How many times faster than allowed the error budget is spent; 14.4 and above pages somebody.",
                    {"{{slo}}": "motes:slo_errors:ratio_rate1h / on (slo) motes:slo_budget:ratio"},
                ),
            ],
            "Webhooks and versions": [
                lines(
                    "Webhooks, attempts per minute",
                    "By outcome.",
                    {"{{outcome}}": "60 * sum by (outcome) (rate(motes_webhook_deliveries_total[$__rate_interval]))"},
                    stacked=True,
                    span=8,
                ),
                lines(
                    "Webhooks pending",
                    "Some wait for hours: each is tried up to eight times over 31 hours. And silent receivers.",
                    {"pending": "max(motes_webhooks_pending)", "silent": "max(motes_webhook_breakers_open)"},
                    span=8,
                ),
                lines(
                    "Processes by version",
                    "More than one version during an upgrade.",
                    {"{{job}} {{version}}": "count by (job, version) (motes_build_info)"},
                    stacked=True,
                    span=8,
                ),
            ],
        },
    )


def _quantile(of: float, histogram: str) -> str:
    return f"histogram_quantile({of}, sum by (le) (rate({histogram}_bucket[$__rate_interval])))"
