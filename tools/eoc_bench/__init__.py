# SPDX-License-Identifier: BSD-3-Clause
"""eoc and PyTorch side by side on the same work, one core each.

setting      the network, inputs and statistics that both sides work on
torch_probe  PyTorch's side: a script of its own, also compares its statistics with eoc's
sides        how a side is started and timed: eoc's sweeps, theory and ranks, the PyTorch script
rows         the table of what is measured; a new row is one entry there
measure      rounds A B A B ..., medians and spread
machine      what it ran on
report       Markdown and JSON
"""
