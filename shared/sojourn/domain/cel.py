"""CEL (https://cel.dev) as the package `cel` evaluates it, without that package's command line.

`import cel` imports `cel.cli`, and with it prompt_toolkit, rich and typer: a third of a function's cold start, for a terminal
that nobody sees (`python -X importtime -c "import cel"`).
"""

from __future__ import annotations

import sys
from types import ModuleType

sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

from cel import Context, Program, compile, evaluate  # noqa: E402 - the package's own names, once its cli is out of the way

__all__ = ["Context", "Program", "compile", "evaluate"]
