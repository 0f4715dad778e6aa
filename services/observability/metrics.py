"""Metrics of the API and of workers for Prometheus, and the functions that count.

The API exposes its own counters and gauges from the database (``services.api.routes.metrics``), a worker those of
itself and its child processes (``services.worker.exporter``). Outcomes are counted when the transaction that decides
them commits (``services.database.engine.on_commit``), so that sums over all processes are right. Labels have few
values, never an id.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily

_ROUND_TRIPS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
_ANSWERS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TASKS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 60.0, 120.0, 300.0)
_JOBS = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 10800.0, 43200.0)

API, WORKER = CollectorRegistry(), CollectorRegistry()
_BOTH = (API, WORKER)
disable_created_metrics()  # type: ignore[no-untyped-call] # as many series again, for nothing


@dataclass(frozen=True)
class Described:
    """A metric as documented; ``by`` says which processes expose it."""

    name: str
    type: str
    labels: tuple[str, ...]
    help: str
    by: tuple[str, ...]


_described: dict[str, Described] = {}


def _register(metric: Any, by: Iterable[CollectorRegistry], labels: Iterable[str]) -> None:
    [family] = metric.describe()
    name = f"{family.name}_total" if family.type == "counter" else family.name
    who = tuple(who for who, registry in (("api", API), ("worker", WORKER)) if registry in by)
    _described[name] = Described(name, family.type, tuple(labels), family.documentation, who)
    for registry in by:
        registry.register(metric)


def _counter(name: str, what: str, *labels: str, by: Iterable[CollectorRegistry]) -> Counter:
    metric = Counter(name, what, labels, registry=None)
    _register(metric, by, labels)
    return metric


def _gauge(name: str, what: str, *labels: str, by: Iterable[CollectorRegistry]) -> Gauge:
    metric = Gauge(name, what, labels, registry=None)
    _register(metric, by, labels)
    return metric


def _histogram(
    name: str, what: str, *labels: str, by: Iterable[CollectorRegistry], buckets: tuple[float, ...]
) -> Histogram:
    metric = Histogram(name, what, labels, registry=None, buckets=buckets)
    _register(metric, by, labels)
    return metric


for _registry in _BOTH:
    ProcessCollector(registry=_registry)  # CPU time, memory and open files of the process itself

# Exposed by both.
_gauge("motes_build_info", "Version of Motes and of Python; always 1.", "version", "python", by=_BOTH).labels(
    version("motes"), platform.python_version()
).set(1)
DATABASE = _histogram(
    "motes_database_seconds",
    "Round trips to the database: how long each statement took to be answered.",
    by=_BOTH,
    buckets=_ROUND_TRIPS,
)
REDIS = _histogram(
    "motes_redis_seconds",
    "Round trips to Redis: how long each command, or putting a task into the queue, took to be answered.",
    by=_BOTH,
    buckets=_ROUND_TRIPS,
)
_ENDED = _counter(
    "motes_jobs_ended_total",
    "Renders that are over, by how they ended; counted by the process that ended them, once each.",
    *("outcome", "particle_type"),
    by=_BOTH,
)
_JOB = _histogram(
    "motes_job_seconds",
    "From the submission of a render to its completion.",
    "particle_type",
    by=_BOTH,
    buckets=_JOBS,
)
_FREED = _counter(
    "motes_storage_freed_bytes_total",
    "Bytes removed from storage, by why: what had expired, was deleted, left over, or made room for more; "
    "not what `motes storage gc` removes, which logs it.",
    "reason",
    by=_BOTH,
)

CLOCK_SKEW = _gauge(
    "motes_clock_skew_seconds",
    "By how much the clock of the process is ahead of the database's, which counts; negative: behind.",
    by=_BOTH,
)

# Exposed by the API.
REQUESTS = _counter(
    "motes_http_requests_total",
    "Requests answered, by the template of their path ('other' where there is none) and the status of the answer.",
    *("route", "method", "status"),
    by=[API],
)
REQUEST = _histogram(
    "motes_http_request_duration_seconds",
    "From a request to the beginning of its answer; streams and downloads may go on for long after that.",
    *("route", "method"),
    by=[API],
    buckets=_ANSWERS,
)
LISTENERS = _gauge(
    "motes_listeners",
    "Open connections that follow a system (websocket) or a job (events).",
    "kind",
    by=[API],
)
UPLOADED = _counter("motes_upload_bytes_total", "Bytes received as uploads, refused ones included.", by=[API])
PLUGIN_FAILURES = _gauge("motes_plugin_failures", "Plugins that are broken and were left out.", by=[API])
_LIMITED = _counter(
    "motes_rate_limited_total",
    "Requests refused because of a rate limit or a quota, by which.",
    "limit",
    by=[API],
)

# Exposed by workers.
SLOTS = _gauge("motes_worker_slots", "Tasks that this worker does at a time.", by=[WORKER])
BUSY = _gauge("motes_worker_busy", "Tasks that this worker is doing now.", by=[WORKER])
MEMORY = _gauge(
    "motes_worker_memory_bytes",
    "Memory of the worker itself, and of the processes it forks; what several share is counted once.",
    "process",
    by=[WORKER],
)
_TASK = _histogram(
    "motes_task_seconds",
    "How long a task took, from being taken to being done; only those whose result counts.",
    *("kind", "particle_type"),
    by=[WORKER],
    buckets=_TASKS,
)
_STAGE = _counter(
    "motes_stage_seconds_total",
    "Seconds that tasks spent at listening to songs, simulating, rasterising, encoding and joining.",
    *("stage", "particle_type"),
    by=[WORKER],
)
_FRAMES = _counter(
    "motes_frames_rendered_total",
    "Frames in the segments that were rendered and count.",
    "particle_type",
    by=[WORKER],
)
_VIDEO = _counter(
    "motes_video_seconds_total",
    "Seconds of video in the segments that were rendered and count: frames over frames per second.",
    "particle_type",
    by=[WORKER],
)
_WAIT = _histogram(
    "motes_job_wait_seconds",
    "From the submission of a render until a worker began with it.",
    by=[WORKER],
    buckets=_JOBS,
)
_RETRIED = _counter(
    "motes_tasks_retried_total",
    "Tasks given back to be done again, by why: the process died, the worker was lost, it has to wait (as for a full "
    "disk), something was wrong with the worker, or it was stopped.",
    "reason",
    by=[WORKER],
)
_HUNG = _counter(
    "motes_children_hung_total",
    "Processes of tasks that were killed, as they made no progress or took absurdly long.",
    "kind",
    by=[WORKER],
)
_GIVEN_UP = _counter(
    "motes_children_given_up_total",
    "Processes of tasks that were killed and did not end, as the kernel waits for a disk or a network; they keep their "
    "memory until they do.",
    by=[WORKER],
)
_LEASES = _counter(
    "motes_leases_lost_total",
    "Leases of tasks that ended before the task did: expired, or reclaimed by the same worker started again.",
    "reason",
    by=[WORKER],
)
FILES_LOST = _counter(
    "motes_files_lost_total",
    "Files that were gone, short or changed in storage when they were met; they are made again.",
    by=[API, WORKER],
)
_HELD_BACK = _counter(
    "motes_retention_held_back_total",
    "What a run of retention left for the next one, as it was more than a run deletes; counted by each run anew.",
    "kind",
    by=[WORKER],
)
_DELIVERIES = _counter(
    "motes_webhook_deliveries_total",
    "Attempts to deliver a webhook: delivered, to be retried, or failed for good.",
    "outcome",
    by=[WORKER],
)

# Create rare series at the start: Prometheus sees no increase when a series first appears.
_OUTCOMES = ("completed", "failed", "cancelled")
for _metric, _values in (
    (LISTENERS, ("websocket", "events")),
    (_RETRIED, ("died", "lost", "wait", "wrong", "stopped")),
    (_HUNG, ("plan", "segment", "join", "frame", "analysis", "curves")),
    (_LEASES, ("expired", "reclaimed")),
    (
        _HELD_BACK,
        (
            *("videos", "previews", "frames", "analyses", "curves", "segments", "songs", "assets"),
            *("orphans", "jobs", "histories", "requests"),
        ),
    ),
    (_DELIVERIES, ("delivered", "retried", "failed")),
):
    for _value in _values:
        _metric.labels(_value)

# Gauges that the API collects.
_COLLECTED = {
    "motes_database_up": ("Whether the database answered (1) or not (0); what it says is absent then.", ()),
    "motes_redis_up": ("Whether Redis answered (1) or not (0); without it workers look for work themselves.", ()),
    "motes_workers": ("Workers that gave Redis a sign of life lately; absent where that is down.", ()),
    "motes_active_systems": ("Particle systems that there are.", ()),
    "motes_jobs": (
        "Renders in the database: open ones (queued, rendering) by type; those that are over and not yet forgotten in "
        "one for all types.",
        ("status", "particle_type"),
    ),
    "motes_queue_tasks": ("Tasks that are ready to be done and wait for a worker.", ("priority",)),
    "motes_queue_oldest_seconds": (
        "How long ago the oldest task that is ready was made; 0 where there is none.",
        ("priority",),
    ),
    "motes_queue_backlog_seconds": (
        "Estimate of the seconds one slot of a worker needs for all tasks that wait, those included that will follow "
        "from planning; from how long the last hundred of each kind took.",
        (),
    ),
    "motes_storage_bytes": ("Bytes in storage by the database: songs, assets, results and segments.", ("kind",)),
    "motes_storage_free_bytes": ("Bytes free where the storage is; absent for an object store.", ()),
    "motes_webhooks_pending": ("Webhooks that are yet to be delivered.", ()),
    "motes_webhook_breakers_open": (
        "Receivers of webhooks that are left alone for a while, as they answered none of an owner's last messages.",
        (),
    ),
}
for _name, (_what, _labels) in _COLLECTED.items():
    _described[_name] = Described(_name, "gauge", _labels, _what, ("api",))


class CollectedGauges:
    """Gauges as of the last collection; those without a value are absent."""

    def __init__(self) -> None:
        self.values: Mapping[str, Mapping[tuple[str, ...], float]] = {}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the metric families; ``values`` is by name, then by label values."""
        for name, values in self.values.items():
            what, labels = _COLLECTED[name]
            family = GaugeMetricFamily(name, what, labels=labels)
            for of, value in values.items():
                family.add_metric(of, value)
            yield family


def catalogue() -> list[Described]:
    """Every metric of ours; ``process_…`` metrics are not listed."""
    return list(_described.values())


@contextmanager
def track_listener(kind: str) -> Iterator[None]:
    """Count a follower of a system (websocket) or a job (events) while the context lasts."""
    with LISTENERS.labels(kind).track_inprogress():
        yield


def count_freed(reason: str, bytes: int) -> None:
    """Count bytes deleted from storage."""
    _FREED.labels(reason).inc(bytes)


def count_limited(limit: str) -> None:
    """Count a request refused by a limit."""
    _LIMITED.labels(limit).inc()


def preset_types(types: Iterable[str]) -> None:
    """Create the series of these particle types."""
    for particle_type in types:
        _JOB.labels(particle_type)
        for outcome in _OUTCOMES:
            _ENDED.labels(outcome, particle_type)


def job_begun(waited: float) -> None:
    """Count a render that a worker has begun, after ``waited`` seconds."""
    _WAIT.observe(waited)


def job_ended(outcome: str, particle_type: str, seconds: float) -> None:
    """Count a render that has ended, ``seconds`` after its submission."""
    _ENDED.labels(outcome, particle_type).inc()
    if outcome == "completed":
        _JOB.labels(particle_type).observe(seconds)


def task_done(
    kind: str,
    particle_type: str,
    *,
    seconds: float,
    stages: Mapping[str, float],
    frames: int,
    video_seconds: float,
) -> None:
    """Count a task whose result counts: what it made, and the seconds of its stages."""
    _TASK.labels(kind, particle_type).observe(seconds)
    for stage, spent in stages.items():
        _STAGE.labels(stage, particle_type).inc(spent)
    if frames:
        _FRAMES.labels(particle_type).inc(frames)
        _VIDEO.labels(particle_type).inc(video_seconds)


def task_retried(reason: str) -> None:
    """Count a task that was requeued."""
    _RETRIED.labels(reason).inc()


def child_hung(kind: str) -> None:
    """Count a process that was killed as it hung."""
    _HUNG.labels(kind).inc()


def child_given_up() -> None:
    """Count a process that was killed and does not end."""
    _GIVEN_UP.inc()


def leases_lost(reason: str, number: int) -> None:
    """Count leases that expired or were reclaimed."""
    _LEASES.labels(reason).inc(number)
    _RETRIED.labels("lost").inc(number)


def retention_held_back(kind: str, number: int) -> None:
    """Count what one run of retention left for the next one."""
    _HELD_BACK.labels(kind).inc(number)


def webhook_attempted(outcome: str) -> None:
    """Count an attempt to deliver a webhook: delivered, retried or failed."""
    _DELIVERIES.labels(outcome).inc()
