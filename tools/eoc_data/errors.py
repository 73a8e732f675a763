# SPDX-License-Identifier: BSD-3-Clause
"""What can go wrong, each with its exit code; the message is one sentence for the user."""


class DataError(Exception):
    """A file is not what it should be."""

    exit_code = 1


class UsageError(DataError):
    """The command line asks for something that cannot be done."""

    exit_code = 2
