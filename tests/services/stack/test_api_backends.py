"""What reaches the database and the storage through the API, with PostgreSQL and S3, which are stricter."""

from __future__ import annotations

import pytest

from tests.services.stack.conftest import Stack
from tests.services.stack.test_api_files import (
    test_download_comes_whole_with_its_name,
    test_download_of_a_file_that_is_gone_is_404,
    test_frame_that_cannot_be_made_says_why,
    test_frame_that_was_lost_is_made_again,
    test_many_who_look_at_the_same_wait_for_one_job,
    test_part_of_a_download,
    test_uploaded_song_is_kept_once,
    test_uploads_leave_nothing_on_the_way,
    video,
)
from tests.services.stack.test_api_following import (
    test_events_go_on_after_the_last_that_was_received,
    test_two_sockets_that_change_a_system_at_once_lose_nothing,
)
from tests.services.stack.test_api_requests import (
    test_changes_of_one_system_by_many_lose_none,
    test_jobs_are_listed_by_status_and_system,
    test_request_repeated_while_the_first_is_answered_is_told_so,
    test_request_whose_process_died_is_done_by_the_next,
    test_rows_of_one_moment_are_listed_once_each,
    test_what_is_added_shifts_no_page,
)

__all__ = [
    "test_changes_of_one_system_by_many_lose_none",
    "test_download_comes_whole_with_its_name",
    "test_download_of_a_file_that_is_gone_is_404",
    "test_events_go_on_after_the_last_that_was_received",
    "test_frame_that_cannot_be_made_says_why",
    "test_frame_that_was_lost_is_made_again",
    "test_jobs_are_listed_by_status_and_system",
    "test_many_who_look_at_the_same_wait_for_one_job",
    "test_part_of_a_download",
    "test_request_repeated_while_the_first_is_answered_is_told_so",
    "test_request_whose_process_died_is_done_by_the_next",
    "test_rows_of_one_moment_are_listed_once_each",
    "test_two_sockets_that_change_a_system_at_once_lose_nothing",
    "test_uploaded_song_is_kept_once",
    "test_uploads_leave_nothing_on_the_way",
    "test_what_is_added_shifts_no_page",
    "video",
]

pytestmark = pytest.mark.debian("redis-server")


@pytest.fixture(scope="module")
def stack(stack_on_servers: Stack) -> Stack:
    return stack_on_servers
