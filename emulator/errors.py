"""What the local cloud can refuse.

LocalCloudError
├── EmulatorsMissing     Java or one of the two jars was not found
├── EmulatorUnreachable  an *_EMULATOR_HOST variable names a server that does not answer
├── ProcessNotReady      a child ended, or did not answer in time, while it was starting
├── ProcessEnded         an emulator ended while the cloud was running; its data is gone
├── AlreadyRunning       another process keeps a local cloud with this state directory
├── NotRunning           no local cloud runs, or it is not ready yet
├── RouterFailed         the log router of the running local cloud refused lines or is gone
├── FunctionFailed       a function of the in-process cloud answered something else than 204
├── FunctionMissing      the table names a function that has no source
├── PubSubFailed         the Pub/Sub emulator refused a call or did not answer
└── NotQuiet             messages were still on their way at the deadline
"""


class LocalCloudError(RuntimeError):
    """Anything that keeps the local cloud from starting or going on; its text is meant for the person at the terminal."""


class EmulatorsMissing(LocalCloudError):
    """Says what to install, and that the in-process demo needs none of it."""


class EmulatorUnreachable(LocalCloudError):
    """Names the variable and its value."""


class ProcessNotReady(LocalCloudError):
    """Ends with the last lines the child wrote."""


class ProcessEnded(LocalCloudError):
    """Raised by `LocalCloud.wait`, for nothing useful can happen any more."""


class AlreadyRunning(LocalCloudError):
    """Names the process that runs it."""


class NotRunning(LocalCloudError):
    """Says how to start one."""


class RouterFailed(LocalCloudError):
    """Says how many lines got through before."""


class FunctionFailed(LocalCloudError):
    """Names the function and its error; the stack of a bug is a note on the exception."""


class FunctionMissing(LocalCloudError):
    """Names the file that was looked for."""


class PubSubFailed(LocalCloudError):
    """Carries what Pub/Sub said."""


class NotQuiet(LocalCloudError):
    """Carries the table of counts."""
