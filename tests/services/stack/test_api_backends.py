"""What reaches the database and the storage through the API, with PostgreSQL and S3, which are stricter."""

from __future__ import annotations

import pytest

from tests.services.stack.conftest import Stack
from tests.services.stack.test_api_files import (
    test_concurrent_requests_for_a_frame_share_one_job,
    test_download_is_complete_and_named,
    test_failed_frame_has_a_reason,
    test_lost_frame_is_rendered_again,
    test_range_request_returns_the_part,
    test_uploaded_song_is_stored_once,
    test_uploads_leave_no_temporary_files,
    test_video_that_is_gone_is_made_again,
    video,
)
from tests.services.stack.test_api_following import (
    test_concurrent_changes_over_two_sockets_are_all_kept,
    test_events_resume_after_last_event_id,
)
from tests.services.stack.test_api_requests import (
    test_concurrent_changes_of_a_system_are_all_kept,
    test_concurrent_repeat_of_a_request_is_refused,
    test_jobs_are_listed_by_status_and_system,
    test_new_rows_do_not_shift_pages,
    test_request_of_a_killed_process_can_be_repeated,
    test_rows_with_equal_times_are_listed_once,
)

__all__ = [
    "test_concurrent_changes_of_a_system_are_all_kept",
    "test_concurrent_changes_over_two_sockets_are_all_kept",
    "test_concurrent_repeat_of_a_request_is_refused",
    "test_concurrent_requests_for_a_frame_share_one_job",
    "test_download_is_complete_and_named",
    "test_events_resume_after_last_event_id",
    "test_failed_frame_has_a_reason",
    "test_jobs_are_listed_by_status_and_system",
    "test_lost_frame_is_rendered_again",
    "test_new_rows_do_not_shift_pages",
    "test_range_request_returns_the_part",
    "test_request_of_a_killed_process_can_be_repeated",
    "test_rows_with_equal_times_are_listed_once",
    "test_uploaded_song_is_stored_once",
    "test_uploads_leave_no_temporary_files",
    "test_video_that_is_gone_is_made_again",
    "video",
]

pytestmark = pytest.mark.debian("redis-server")


@pytest.fixture(scope="module")
def stack(stack_on_servers: Stack) -> Stack:
    return stack_on_servers
