"""Capacity: whether there is enough of everything, and until when."""

from __future__ import annotations

from deploy.grafana.board import Dashboard, board, lines, stat

_FREE = "motes_storage_free_bytes"


def capacity() -> Dashboard:
    """Whether to add workers or storage."""
    return board(
        "capacity",
        "Capacity",
        "Is there enough of everything, and until when? When to add workers, and when to add storage.",
        {
            "Now": [
                stat(
                    "Queue is empty in",
                    "What waits, over the slots there are, if nothing is added.",
                    "motes:queue_drain_seconds:ratio",
                    unit="s",
                    bad=600,
                    worse=1800,
                ),
                stat(
                    "Busy, over an hour",
                    "Share of the slots that had something to do.",
                    "sum(avg_over_time(motes_worker_busy[1h])) / sum(avg_over_time(motes_worker_slots[1h]))",
                    unit="percentunit",
                    bad=0.7,
                    worse=0.9,
                ),
                stat(
                    "Minutes of video, in a day",
                    "Rendered in the last 24 hours.",
                    "sum(increase(motes_video_seconds_total[1d])) / 60",
                    decimals=0,
                ),
                stat(
                    "Stored",
                    "Bytes in storage, by the database.",
                    "sum(max by (kind) (motes_storage_bytes))",
                    unit="bytes",
                ),
                stat(
                    "Free",
                    "Bytes where the storage is; there is no answer for an object store.",
                    f"min({_FREE})",
                    unit="bytes",
                    bad=20e9,
                    worse=5e9,
                ),
                stat(
                    "Free in six hours",
                    "If it goes on as in the last hour; below 0 an alert fires.",
                    f"min(predict_linear({_FREE}[1h], 6 * 3600))",
                    unit="bytes",
                    bad=5e9,
                    worse=0,
                ),
            ],
            "Work": [
                lines(
                    "Tasks that wait",
                    "Ready to be done, by priority.",
                    {"{{priority}}": "priority:motes_queue_tasks:max"},
                    stacked=True,
                ),
                lines(
                    "Oldest of them",
                    "How long it has waited, by priority.",
                    {"{{priority}}": "priority:motes_queue_oldest_seconds:max"},
                    unit="s",
                ),
                lines(
                    "Work that waits, in seconds of all slots",
                    "When it stays above a few minutes, add workers.",
                    {"until the queue is empty": "motes:queue_drain_seconds:ratio"},
                    unit="s",
                ),
                lines(
                    "Slots",
                    "How many there are, and how many are busy.",
                    {"there": "motes:worker_slots:sum", "busy": "sum(motes_worker_busy)"},
                ),
                lines(
                    "Video rendered, seconds per second",
                    "By type; what all workers make of it.",
                    {"{{particle_type}}": "sum by (particle_type) (rate(motes_video_seconds_total[$__rate_interval]))"},
                    stacked=True,
                ),
                lines(
                    "Renders begun within 5 minutes",
                    "Share of those that began in the last hour; the objective is 95 %.",
                    {"within": '1 - motes:slo_errors:ratio_rate1h{slo="render-start"}'},
                    unit="percentunit",
                    top=1,
                ),
            ],
            "Storage": [
                lines(
                    "Stored",
                    "Bytes by the database: songs, results, segments.",
                    {"{{kind}}": "max by (kind) (motes_storage_bytes)"},
                    unit="bytes",
                    stacked=True,
                ),
                lines(
                    "Free",
                    "Now, and in six hours if it goes on as in the last one.",
                    {
                        "free": f"min({_FREE})",
                        "in six hours": f"min(predict_linear({_FREE}[1h], 6 * 3600))",
                    },
                    unit="bytes",
                ),
                lines(
                    "Freed",
                    "Bytes per second, by why: expired, deleted, left over, to make room.",
                    {"{{reason}}": "sum by (reason) (rate(motes_storage_freed_bytes_total[$__rate_interval]))"},
                    unit="Bps",
                    stacked=True,
                ),
                lines(
                    "Memory of all workers",
                    "What a machine must have at least.",
                    {"{{process}}": "sum by (process) (motes_worker_memory_bytes)"},
                    unit="bytes",
                    stacked=True,
                ),
            ],
        },
    )
