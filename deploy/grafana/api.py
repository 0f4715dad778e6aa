"""The dashboard of the API: requests, latency, refusals, and round trips to the database and Redis."""

from __future__ import annotations

from deploy.grafana.board import Dashboard, board, lines, stat

_SECONDS = "motes_http_request_duration_seconds"


def api() -> Dashboard:
    """Requests, responses, and what the API waits for."""
    return board(
        "api",
        "API",
        "Requests, how fast they are answered, which are refused, and what the API waits for.",
        {
            "Now": [
                stat(
                    "Requests per second",
                    "All routes.",
                    "sum(rate(motes_http_requests_total[$__rate_interval]))",
                    decimals=1,
                ),
                stat(
                    "Errors",
                    "Share of responses with a status of 500 or above in the last five minutes.",
                    'motes:slo_errors:ratio_rate5m{slo="api-availability"}',
                    unit="percentunit",
                    bad=0.001,
                    worse=0.05,
                ),
                stat(
                    "99 % within",
                    "Without frames, previews and uploads, which wait for workers and clients.",
                    "motes:http_request_duration_seconds:p99_rate5m",
                    unit="s",
                    bad=0.5,
                    worse=1,
                ),
                stat("Listeners", "Open WebSockets and event streams.", "sum(motes_listeners)"),
                stat(
                    "Broken plugins",
                    "They were not loaded; motes plugin list says why.",
                    "max(motes_plugin_failures)",
                    bad=1,
                    worse=2,
                ),
                stat(
                    "Processes",
                    "API processes that answer.",
                    'sum(up{job="motes-api"})',
                    bad=1,
                    worse=0.5,
                ),
            ],
            "Requests": [
                lines(
                    "By status, per second",
                    "2xx: success; 4xx: client errors; 5xx: server errors.",
                    {"{{status}}": "sum by (status) (rate(motes_http_requests_total[$__rate_interval]))"},
                    unit="reqps",
                    stacked=True,
                ),
                lines(
                    "By route, per second",
                    "The ten busiest.",
                    {
                        "{{method}} {{route}}": "topk(10, sum by (method, route) "
                        "(rate(motes_http_requests_total[$__rate_interval])))"
                    },
                    unit="reqps",
                    stacked=True,
                ),
                lines(
                    "50 % within",
                    "Time to the start of the response, by route.",
                    {"{{method}} {{route}}": _quantile(0.5)},
                    unit="s",
                ),
                lines(
                    "99 % within",
                    "Time to the start of the response, by route.",
                    {"{{method}} {{route}}": _quantile(0.99)},
                    unit="s",
                ),
            ],
            "Clients": [
                lines(
                    "Listeners",
                    "Open connections that follow a system (websocket) or a job (events).",
                    {"{{kind}}": "sum by (kind) (motes_listeners)"},
                    stacked=True,
                    span=8,
                ),
                lines(
                    "Uploads",
                    "Bytes per second, including refused uploads.",
                    {"received": "sum(rate(motes_upload_bytes_total[$__rate_interval]))"},
                    unit="Bps",
                    span=8,
                ),
                lines(
                    "Refused by limits, per minute",
                    "Requests over a rate limit or a quota, by limit.",
                    {"{{limit}}": "60 * sum by (limit) (rate(motes_rate_limited_total[$__rate_interval]))"},
                    stacked=True,
                    span=8,
                ),
            ],
            "Dependencies and resources": [
                lines(
                    "Round trips, 99 % within",
                    "From the API to the database and to Redis.",
                    {"database": _round_trip("motes_database_seconds"), "Redis": _round_trip("motes_redis_seconds")},
                    unit="s",
                    span=8,
                ),
                lines(
                    "Round trips per second",
                    "Statements to the database and commands to Redis.",
                    {
                        "database": 'sum(rate(motes_database_seconds_count{job="motes-api"}[$__rate_interval]))',
                        "Redis": 'sum(rate(motes_redis_seconds_count{job="motes-api"}[$__rate_interval]))',
                    },
                    unit="ops",
                    span=8,
                ),
                lines(
                    "CPU",
                    "Cores used by each process.",
                    {"{{instance}}": 'rate(process_cpu_seconds_total{job="motes-api"}[$__rate_interval])'},
                    span=8,
                ),
                lines(
                    "Memory",
                    "Of each process.",
                    {"{{instance}}": 'process_resident_memory_bytes{job="motes-api"}'},
                    unit="bytes",
                ),
                lines(
                    "Open files",
                    "Of each process, including connections.",
                    {"{{instance}}": 'process_open_fds{job="motes-api"}'},
                ),
            ],
        },
    )


def _quantile(of: float) -> str:
    return f"histogram_quantile({of}, sum by (le, method, route) (rate({_SECONDS}_bucket[$__rate_interval])))"


def _round_trip(histogram: str) -> str:
    return f'histogram_quantile(0.99, sum by (le) (rate({histogram}_bucket{{job="motes-api"}}[$__rate_interval])))'
