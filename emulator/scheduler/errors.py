"""What is refused, each with the code of the real service.

Refused
├── InvalidArgument      a field is not what it may be; the text begins with its name
├── NotFound             no job has that name
├── AlreadyExists        a job has that name
├── FailedPrecondition   the job's state does not allow it
├── PermissionDenied     the emulator was started for another project
└── Unimplemented        App Engine targets
PublishFailed            raised by whoever publishes; becomes the status of the attempt
"""

from __future__ import annotations

from typing import ClassVar

from grpc import StatusCode


class Refused(Exception):
    """Anything a call is answered with instead of a result."""

    code: ClassVar[StatusCode]


class InvalidArgument(Refused):
    """Names the field."""

    code = StatusCode.INVALID_ARGUMENT


class NotFound(Refused):
    """Worded like the real one."""

    code = StatusCode.NOT_FOUND


class AlreadyExists(Refused):
    """Names the job."""

    code = StatusCode.ALREADY_EXISTS


class FailedPrecondition(Refused):
    """Names the state that is needed and the call that needs it."""

    code = StatusCode.FAILED_PRECONDITION


class PermissionDenied(Refused):
    """Names the project that is served."""

    code = StatusCode.PERMISSION_DENIED


class Unimplemented(Refused):
    """Says what can be used instead."""

    code = StatusCode.UNIMPLEMENTED


class PublishFailed(Exception):
    """A message could not be published; the text and the code are what the job's status shows."""

    def __init__(self, text: str, *, code: StatusCode = StatusCode.UNAVAILABLE) -> None:
        super().__init__(text)
        self.code = code
