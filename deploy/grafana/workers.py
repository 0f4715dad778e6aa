"""Workers: who renders, how fast, and what goes wrong."""

from __future__ import annotations

from deploy.grafana.board import Dashboard, board, lines, stat

_SEGMENTS = 'motes_task_seconds_sum{kind="segment"}'


def workers() -> Dashboard:
    """What workers are doing, and where their time goes."""
    return board(
        "workers",
        "Workers",
        "Who renders, how fast, where the time goes, and what has to be done again.",
        {
            "Now": [
                stat("Workers", "Those that answer.", "count(motes_worker_slots)", bad=1, worse=0.5),
                stat("Slots", "Tasks that they do at a time.", "sum(motes_worker_slots)"),
                stat(
                    "Busy",
                    "Share of the slots that has something to do.",
                    "sum(motes_worker_busy) / sum(motes_worker_slots)",
                    unit="percentunit",
                    bad=0.9,
                ),
                stat(
                    "Frames per second",
                    "Rendered by all of them.",
                    "sum(rate(motes_frames_rendered_total[$__rate_interval]))",
                    decimals=1,
                ),
                stat(
                    "Done again",
                    "Tasks that had to be done again in the last hour.",
                    "sum(increase(motes_tasks_retried_total[1h]))",
                    bad=5,
                    worse=50,
                    decimals=0,
                ),
                stat(
                    "Leases lost",
                    "In the last hour: workers that were killed or cut off.",
                    "sum(increase(motes_leases_lost_total[1h]))",
                    bad=1,
                    worse=10,
                    decimals=0,
                ),
            ],
            "Each worker": [
                lines(
                    "Busy",
                    "Tasks that each is doing.",
                    {"{{instance}}": "motes_worker_busy"},
                    stacked=True,
                ),
                lines(
                    "Memory",
                    "Of the worker itself, and of the processes it forks; what several share is counted once.",
                    {"{{instance}} {{process}}": "motes_worker_memory_bytes"},
                    unit="bytes",
                    stacked=True,
                ),
                lines(
                    "Processor",
                    "Cores that the worker itself needs; what renders is not in it.",
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
                    "Seconds of video for each second of a slot, by type.",
                    {"{{particle_type}}": f"{_by_type('motes_video_seconds_total')} / {_by_type(_SEGMENTS)}"},
                ),
                lines(
                    "Where the time goes",
                    "Slots that are kept busy by each stage.",
                    {"{{stage}}": "sum by (stage) (rate(motes_stage_seconds_total[$__rate_interval]))"},
                    stacked=True,
                ),
                lines(
                    "Tasks, 95 % within",
                    "By kind: plan, segment, join, frame.",
                    {
                        "{{kind}}": "histogram_quantile(0.95, sum by (le, kind) "
                        "(rate(motes_task_seconds_bucket[$__rate_interval])))"
                    },
                    unit="s",
                ),
                lines(
                    "Tasks done, per minute",
                    "Those whose result counts, by kind.",
                    {"{{kind}}": "60 * sum by (kind) (rate(motes_task_seconds_count[$__rate_interval]))"},
                    stacked=True,
                ),
            ],
            "What goes wrong": [
                lines(
                    "Tasks done again, per minute",
                    "By why: died, its worker was lost, has to wait, something is wrong, was stopped.",
                    {"{{reason}}": "60 * sum by (reason) (rate(motes_tasks_retried_total[$__rate_interval]))"},
                    stacked=True,
                    span=8,
                ),
                lines(
                    "Leases lost, per minute",
                    "Expired: the worker gave no sign of life. Reclaimed: it was started again.",
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
            ],
        },
    )


def _by_type(counter: str) -> str:
    return f"sum by (particle_type) (rate({counter}[$__rate_interval]))"


def _round_trip(histogram: str) -> str:
    return f'histogram_quantile(0.99, sum by (le) (rate({histogram}_bucket{{job="motes-worker"}}[$__rate_interval])))'
