# SPDX-License-Identifier: BSD-3-Clause
"""Data sets for eoc: from the formats in which they are published to HDF5.

arrays    a data set in memory, and what must hold for it
idx       MNIST and Fashion-MNIST
cifar     CIFAR-10 and CIFAR-100, binary version
npz       any NumPy archive with images and labels
store     the HDF5 file: write, describe
cli       the command line
"""
