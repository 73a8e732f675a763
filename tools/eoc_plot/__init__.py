# SPDX-License-Identifier: BSD-3-Clause
"""Pictures of an eoc result file.

result    the file: axes, variables, selection by label
reduce    from units to cells: layers, replicas, states
critical  the theory's lines, found on the grid of the file
style     labels, colours, axes: what all pictures share
phase     one function per picture, listed in the table of cli
depth
shattering
train     maps of what was trained (train_map), learning curves and times (train_curves)
trained   the training of every unit, at a learning rate or at its best
prefactor trainable depth as a multiple of xi_c
"""
