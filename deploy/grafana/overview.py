"""Overview: whether everything is all right, and what is going on."""

from __future__ import annotations

from deploy.grafana.board import Dashboard, alerts, board, lines, stat


def overview() -> Dashboard:
    """The dashboard to begin with."""
    return board(
        "overview",
        "Overview",
        "Is everything all right, and what is going on? The other dashboards say why.",
        {
            "Now": [
                stat("Active systems", "Particle systems that there are.", "max(motes_active_systems)"),
                stat(
                    "Tasks that wait",
                    "Ready to be done, of all priorities.",
                    "sum(priority:motes_queue_tasks:max)",
                ),
                stat(
                    "Oldest of them",
                    "How long the task that has waited longest has done so.",
                    "max(priority:motes_queue_oldest_seconds:max)",
                    unit="s",
                    bad=300,
                    worse=1800,
                ),
                stat(
                    "Failed renders",
                    "Share of the renders that ended in the last hour; those that were cancelled are left out.",
                    'motes:slo_errors:ratio_rate1h{slo="renders"}',
                    unit="percentunit",
                    bad=0.01,
                    worse=0.1,
                ),
                stat(
                    "Slots of workers",
                    "Tasks that can be done at a time.",
                    "motes:worker_slots:sum",
                    bad=1,
                    worse=0.5,
                ),
                stat(
                    "Storage free",
                    "Bytes; there is no answer for an object store.",
                    "min(motes_storage_free_bytes)",
                    unit="bytes",
                    bad=20e9,
                    worse=5e9,
                ),
                alerts(),
            ],
            "Renders": [
                lines(
                    "Renders that are open",
                    "Queued: nobody has begun with them. Rendering: begun, not over.",
                    {"{{status}}": 'status:motes_jobs:sum{status=~"queued|rendering"}'},
                    stacked=True,
                ),
                lines(
                    "Renders that ended, per minute",
                    "By how they ended.",
                    {"{{outcome}}": "60 * sum by (outcome) (rate(motes_jobs_ended_total[$__rate_interval]))"},
                    stacked=True,
                ),
                lines(
                    "From submission to video",
                    "How long clients waited for renders that were completed.",
                    {
                        "half of them within": _quantile(0.5, "motes_job_seconds"),
                        "95 % within": _quantile(0.95, "motes_job_seconds"),
                    },
                    unit="s",
                ),
                lines(
                    "From submission to beginning",
                    "How long renders waited for a worker.",
                    {
                        "half of them within": _quantile(0.5, "motes_job_wait_seconds"),
                        "95 % within": _quantile(0.95, "motes_job_wait_seconds"),
                    },
                    unit="s",
                ),
                lines(
                    "Real-time factor",
                    "Seconds of video for each second of a slot, by type: above 1, faster than the video plays.",
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
                    "Budget of errors that is left",
                    "At the rate of the last three days. 1: no errors; below 0: more than 30 days allow.",
                    {"{{slo}}": "1 - motes:slo_errors:ratio_rate3d / on (slo) motes:slo_budget:ratio"},
                    unit="percentunit",
                ).min(-1),
                lines(
                    "Burn rate of the last hour",
                    "How many times faster than allowed the budget is spent; from 14.4 on somebody is woken.",
                    {"{{slo}}": "motes:slo_errors:ratio_rate1h / on (slo) motes:slo_budget:ratio"},
                ),
            ],
            "Messages and versions": [
                lines(
                    "Webhooks, attempts per minute",
                    "By what came of them.",
                    {"{{outcome}}": "60 * sum by (outcome) (rate(motes_webhook_deliveries_total[$__rate_interval]))"},
                    stacked=True,
                    span=8,
                ),
                lines(
                    "Webhooks to be delivered",
                    "Some wait for hours: each is tried eight times in all, over 31 hours.",
                    {"pending": "max(motes_webhooks_pending)"},
                    span=8,
                ),
                lines(
                    "Processes by version",
                    "More than one while something is being upgraded.",
                    {"{{job}} {{version}}": "count by (job, version) (motes_build_info)"},
                    stacked=True,
                    span=8,
                ),
            ],
        },
    )


def _quantile(of: float, histogram: str) -> str:
    return f"histogram_quantile({of}, sum by (le) (rate({histogram}_bucket[$__rate_interval])))"
