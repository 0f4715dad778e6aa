"""The dashboard of capacity: whether there are enough workers and storage, and for how long."""

from __future__ import annotations

from deploy.grafana.board import Dashboard, board, lines, stat

_FREE = "motes_storage_free_bytes"


def capacity() -> Dashboard:
    """Whether to add workers or storage."""
    return board(
        "capacity",
        "Capacity",
        "Are there enough workers and storage, and for how long?",
        {
            "Now": [
                stat(
                    "Queue is empty in",
                    "Waiting work divided by the number of slots, if no more is submitted.",
                    "motes:queue_drain_seconds:ratio",
                    unit="s",
                    bad=600,
                    worse=1800,
                ),
                stat(
                    "Busy, over an hour",
                    "Share of slots that were running a task.",
                    "sum(avg_over_time(motes_worker_busy[1h])) / sum(avg_over_time(motes_worker_slots[1h]))",
                    unit="percentunit",
                    bad=0.7,
                    worse=0.9,
                ),
                stat(
                    "Minutes of video in a day",
                    "Rendered in the last 24 hours.",
                    "sum(increase(motes_video_seconds_total[1d])) / 60",
                    decimals=0,
                ),
                stat(
                    "Stored",
                    "Bytes in storage, according to the database.",
                    "sum(max by (kind) (motes_storage_bytes))",
                    unit="bytes",
                ),
                stat(
                    "Free",
                    "Bytes on the disk of the storage; not available for object stores.",
                    f"min({_FREE})",
                    unit="bytes",
                    bad=20e9,
                    worse=5e9,
                ),
                stat(
                    "Free in six hours",
                    "Extrapolated from the last hour; an alert fires below 0.",
                    f"min(predict_linear({_FREE}[1h], 6 * 3600))",
                    unit="bytes",
                    bad=5e9,
                    worse=0,
                ),
            ],
            "Work": [
                lines(
                    "Waiting tasks",
                    "Tasks that are ready to run, by priority.",
                    {"{{priority}}": "priority:motes_queue_tasks:max"},
                    stacked=True,
                ),
                lines(
                    "Oldest waiting task",
                    "How long it has been waiting, by priority.",
                    {"{{priority}}": "priority:motes_queue_oldest_seconds:max"},
                    unit="s",
                ),
                lines(
                    "Waiting work, in seconds of all slots",
                    "If it stays above a few minutes, add workers.",
                    {"until the queue is empty": "motes:queue_drain_seconds:ratio"},
                    unit="s",
                ),
                lines(
                    "Slots",
                    "Total and busy.",
                    {"total": "motes:worker_slots:sum", "busy": "sum(motes_worker_busy)"},
                ),
                lines(
                    "Video rendered, seconds per second",
                    "By all workers, by particle type.",
                    {"{{particle_type}}": "sum by (particle_type) (rate(motes_video_seconds_total[$__rate_interval]))"},
                    stacked=True,
                ),
                lines(
                    "Renders started within 5 minutes",
                    "Share of the renders that started in the last hour; the objective is 95 %.",
                    {"within": '1 - motes:slo_errors:ratio_rate1h{slo="render-start"}'},
                    unit="percentunit",
                    top=1,
                ),
            ],
            "Storage": [
                lines(
                    "Stored",
                    "Bytes according to the database: songs, results, segments.",
                    {"{{kind}}": "max by (kind) (motes_storage_bytes)"},
                    unit="bytes",
                    stacked=True,
                ),
                lines(
                    "Free",
                    "Now, and in six hours, extrapolated from the last hour.",
                    {
                        "free": f"min({_FREE})",
                        "in six hours": f"min(predict_linear({_FREE}[1h], 6 * 3600))",
                    },
                    unit="bytes",
                ),
                lines(
                    "Freed",
                    "Bytes per second by reason: expired, deleted, left over, to make room.",
                    {"{{reason}}": "sum by (reason) (rate(motes_storage_freed_bytes_total[$__rate_interval]))"},
                    unit="Bps",
                    stacked=True,
                ),
                lines(
                    "Memory of all workers",
                    "The least memory that their machines need in total.",
                    {"{{process}}": "sum by (process) (motes_worker_memory_bytes)"},
                    unit="bytes",
                    stacked=True,
                ),
            ],
        },
    )
