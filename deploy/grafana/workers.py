"""The dashboard of workers: what they do, how fast, and what goes wrong."""

from __future__ import annotations

from deploy.grafana.board import Dashboard, board, lines, stat

_SEGMENTS = 'motes_task_seconds_sum{kind="segment"}'


def workers() -> Dashboard:
    """What workers do, and where their time goes."""
    return board(
        "workers",
        "Workers",
        "What workers do, how fast, where their time goes, and what had to be retried.",
        {
            "Now": [
                stat("Workers", "Workers that answer.", "count(motes_worker_slots)", bad=1, worse=0.5),
                stat("Slots", "Tasks that can run at the same time.", "sum(motes_worker_slots)"),
                stat(
                    "Busy",
                    "Share of slots that are running a task.",
                    "sum(motes_worker_busy) / sum(motes_worker_slots)",
                    unit="percentunit",
                    bad=0.9,
                ),
                stat(
                    "Frames per second",
                    "By all workers.",
                    "sum(rate(motes_frames_rendered_total[$__rate_interval]))",
                    decimals=1,
                ),
                stat(
                    "Retried",
                    "Tasks that had to be retried in the last hour.",
                    "sum(increase(motes_tasks_retried_total[1h]))",
                    bad=5,
                    worse=50,
                    decimals=0,
                ),
                stat(
                    "Leases lost",
                    "In the last hour, by workers that were killed or cut off.",
                    "sum(increase(motes_leases_lost_total[1h]))",
                    bad=1,
                    worse=10,
                    decimals=0,
                ),
            ],
            "Each worker": [
                lines(
                    "Clock skew",
                    "By how much its clock is ahead of the database's, which counts; APIs included.",
                    {"{{instance}}": "motes_clock_skew_seconds"},
                    unit="s",
                    span=8,
                ),
                lines(
                    "Busy",
                    "Tasks that each worker is running.",
                    {"{{instance}}": "motes_worker_busy"},
                    stacked=True,
                    span=8,
                ),
                lines(
                    "Memory",
                    "Of the worker and of the processes it forks; shared memory is counted once.",
                    {"{{instance}} {{process}}": "motes_worker_memory_bytes"},
                    unit="bytes",
                    stacked=True,
                    span=8,
                ),
                lines(
                    "CPU",
                    "Cores used by the worker itself, without the processes that render.",
                    {"{{instance}}": 'rate(process_cpu_seconds_total{job="motes-worker"}[$__rate_interval])'},
                ),
                lines(
                    "Open files",
                    "Of the worker itself.",
                    {"{{instance}}": 'process_open_fds{job="motes-worker"}'},
                ),
            ],
            "Speed": [
                lines(
                    "Real-time factor",
                    "Seconds of video rendered per second of one slot, by type.",
                    {"{{particle_type}}": f"{_by_type('motes_video_seconds_total')} / {_by_type(_SEGMENTS)}"},
                ),
                lines(
                    "Where the time goes",
                    "Slots kept busy by each stage.",
                    {"{{stage}}": "sum by (stage) (rate(motes_stage_seconds_total[$__rate_interval]))"},
                    stacked=True,
                ),
                lines(
                    "Tasks, 95 % within",
                    "By kind: plan, segment, sound, join, frame.",
                    {
                        "{{kind}}": "histogram_quantile(0.95, sum by (le, kind) "
                        "(rate(motes_task_seconds_bucket[$__rate_interval])))"
                    },
                    unit="s",
                ),
                lines(
                    "Tasks completed, per minute",
                    "By kind; only those whose result was used.",
                    {"{{kind}}": "60 * sum by (kind) (rate(motes_task_seconds_count[$__rate_interval]))"},
                    stacked=True,
                ),
            ],
            "What goes wrong": [
                lines(
                    "Tasks retried, per minute",
                    "By reason: its process died, its worker was lost, it has to wait, an error, it was stopped.",
                    {"{{reason}}": "60 * sum by (reason) (rate(motes_tasks_retried_total[$__rate_interval]))"},
                    stacked=True,
                    span=8,
                ),
                lines(
                    "Leases lost, per minute",
                    "Expired: the worker stopped renewing them. Reclaimed: the worker was restarted.",
                    {"{{reason}}": "60 * sum by (reason) (rate(motes_leases_lost_total[$__rate_interval]))"},
                    stacked=True,
                    span=8,
                ),
                lines(
                    "Round trips, 99 % within",
                    "From workers to the database and to Redis.",
                    {
                        "database": _round_trip("motes_database_seconds"),
                        "Redis": _round_trip("motes_redis_seconds"),
                    },
                    unit="s",
                    span=8,
                ),
                lines(
                    "Hung processes, per minute",
                    "Killed, as they made no progress; given up, as the kernel waits for a disk and they do not end.",
                    {
                        "{{kind}}": "60 * sum by (kind) (rate(motes_children_hung_total[$__rate_interval]))",
                        "given up": "60 * sum(rate(motes_children_given_up_total[$__rate_interval]))",
                    },
                ),
                lines(
                    "Files lost, per minute",
                    "Gone, short or changed in storage when they were met; they are made again.",
                    {"files": "60 * sum(rate(motes_files_lost_total[$__rate_interval]))"},
                ),
            ],
        },
    )


def _by_type(counter: str) -> str:
    return f"sum by (particle_type) (rate({counter}[$__rate_interval]))"


def _round_trip(histogram: str) -> str:
    return f'histogram_quantile(0.99, sum by (le) (rate({histogram}_bucket{{job="motes-worker"}}[$__rate_interval])))'
