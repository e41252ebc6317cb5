"""Times as reviews hold them."""

from __future__ import annotations

from datetime import datetime, timezone

from nlp_pipeline.errors.review import ReviewUnusable, wrong_value


def utc_time(time: str | None) -> str | None:
    """A time as ISO 8601 in UTC; one without a zone is taken for UTC.

    Raises:
        ReviewUnusable: It is no time.
    """
    if time is None:
        return None
    try:
        # Python 3.10 does not know the Z that JavaScript writes.
        moment = datetime.fromisoformat(time.replace("Z", "+00:00"))
    except ValueError:
        example = "a time such as 2024-05-31T12:00:00Z"
        raise ReviewUnusable(wrong_value("reviewed_at", time, example)) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
