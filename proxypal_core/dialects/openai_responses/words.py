"""Names that the modules of this dialect share."""

NAME = "openai-responses"

ORIGIN = "openai"
"""Whose blobs this dialect may carry."""

INCOMPLETE = "incomplete"
COMPLETED = "completed"
IN_PROGRESS = "in_progress"
FAILED = "failed"
