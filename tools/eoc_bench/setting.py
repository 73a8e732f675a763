# SPDX-License-Identifier: BSD-3-Clause
"""The network, inputs, statistics and training that both sides work on: nearly critical tanh, where nothing over- or underflows in
float32."""
import os

ACTIVATION = "tanh"
WEIGHT_VARIANCE = 1.76
BIAS_VARIANCE = 0.05
CORRELATION = 0.6  # of the two inputs
INPUT_VARIANCE = 1.0
INPUTS = 2

# The names are those of the sweep file's probe.statistics.
FORWARD = ("forward",)
GRADIENT = ("forward", "gradient")
JACOBIAN = ("forward", "gradient", "jacobian")

# Training: images of the size of MNIST's in as many classes; the losses of the first steps stay far from 0.
PIXELS, CLASSES = 28, 10  # along a side
FEATURES = PIXELS * PIXELS
LEARNING_RATE = 0.01
MOMENTUM = 0.9

# Convolutional networks, on digits (of the source tree, in which the bench is): at the rate above a hundred layers of them diverge.
KERNEL = 3
CONVOLUTION_LEARNING_RATE = 0.001
DIGITS = "mnist10k"
DIGITS_PATH = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "jobs", "data", f"{DIGITS}.h5")

DISAGREES = 3  # exit code of the check where the sides are not the same; 1 is any error
