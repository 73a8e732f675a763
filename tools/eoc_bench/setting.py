# SPDX-License-Identifier: BSD-3-Clause
"""The network, inputs, statistics and training that both sides work on: nearly critical tanh, where nothing over- or underflows in
float32."""

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
FEATURES, CLASSES = 784, 10
LEARNING_RATE = 0.01
MOMENTUM = 0.9

DISAGREES = 3  # exit code of the check where the sides are not the same; 1 is any error
