# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong, each with its exit code; the message is one sentence for the user."""
import difflib


class PlotError(Exception):
    """The file or the machine does not allow the picture."""

    exit_code = 1


class UsageError(PlotError):
    """The command line asks for something that does not exist."""

    exit_code = 2


def suggestion(word, known):
    """', did you mean X?' for the nearest known names, or the list of them where none is near."""
    known = [str(name) for name in known]
    near = difflib.get_close_matches(str(word), known, n=2, cutoff=0.6)
    if near:
        return f"; did you mean {' or '.join(near)}?"
    return f"; there is {', '.join(known)}" if known else ""
