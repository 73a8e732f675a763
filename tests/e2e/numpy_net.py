# SPDX-License-Identifier: BSD-3-Clause
"""The trainer a second time, in NumPy and float64, from the public headers: streams of random numbers (rng.h), networks (net.h,
architecture.h), losses and optimizers (their papers), checkpoints (checkpoint.h)."""
import struct
import zlib
from dataclasses import dataclass, field

import numpy as np

MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1

READOUT, TANGENT, SHUFFLE, TRAIN_MASK = 1, 1 << 16, 1 << 19, 1 << 21  # rng.h


# -- random numbers: Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011 --

def threefry4x64(counter, key):
    """Twenty rounds."""
    rotations = ((14, 16), (52, 57), (23, 40), (5, 37), (25, 33), (46, 12), (58, 22), (32, 32))
    keys = [*key, key[0] ^ key[1] ^ key[2] ^ key[3] ^ 0x1BD11BDAA9FC1A22]
    x = [(c + k) & MASK64 for c, k in zip(counter, key)]
    for number in range(20):
        for pair, rotation in enumerate(rotations[number % 8]):
            a, b = (0, (1, 3)[number % 2]) if pair == 0 else (2, (3, 1)[number % 2])
            x[a] = (x[a] + x[b]) & MASK64
            x[b] = ((x[b] << rotation) | (x[b] >> (64 - rotation))) & MASK64
            x[b] ^= x[a]
        if number % 4 == 3:
            injected = number // 4 + 1
            x = [(value + keys[(injected + i) % 5]) & MASK64 for i, value in enumerate(x)]
            x[3] = (x[3] + injected) & MASK64
    return x


def philox4x32(counters, key):
    """Ten rounds of many counters: counters (4, n) uint64 below 2^32; (4, n)."""
    c0, c1, c2, c3 = counters
    k0, k1 = key
    for _ in range(10):
        first, second = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        high, low = np.uint64(32), np.uint64(MASK32)
        c0, c1, c2, c3 = (second >> high) ^ c1 ^ np.uint64(k0), second & low, (first >> high) ^ c3 ^ np.uint64(k1), first & low
        k0, k1 = (k0 + 0x9E3779B9) & MASK32, (k1 + 0xBB67AE85) & MASK32
    return np.array([c0, c1, c2, c3])


def key_of(text):
    """The 64 bits of a text: chained Threefry over blocks of 32 bytes, the length last (Matyas, Meyer & Oseas)."""
    data = text.encode()
    blocks = [data[at:at + 32].ljust(32, b"\0") for at in range(0, len(data) // 32 * 32 + 1, 32)]
    state = [0, 0, 0, 0]
    for block in [*blocks, len(data).to_bytes(8, "little").ljust(32, b"\0")]:
        message = struct.unpack("<4Q", block)
        state = [mixed ^ word for mixed, word in zip(threefry4x64(message, state), message)]
    return state[0] & MASK32, state[0] >> 32


def words(key, layer, tensor, column, count):
    """Blocks 0 .. count - 1 of a stream, (4, count)."""
    fixed = [np.full(count, value, dtype=np.uint64) for value in (column, tensor, layer)]
    return philox4x32([np.arange(count, dtype=np.uint64), *fixed], key)


def normals(key, layer, tensor, column, n):
    """The first n double normals of a stream; the first word of a pair is the high one."""
    groups = -(-n // 32)
    x = words(key, layer, tensor, column, 16 * groups)
    numbers = [(((x[i] << np.uint64(32) | x[i + 1]) >> np.uint64(12)).astype(float) + 0.5) / 2.0**52 for i in (0, 2)]
    radius, angle = np.sqrt(-2.0 * np.log(numbers[0])), 2.0 * np.pi * numbers[1]
    pair = np.array([radius * np.cos(angle), radius * np.sin(angle)]).reshape(2, groups, 16)
    return pair.transpose(1, 0, 2).ravel()[:n]


def uniforms(key, layer, tensor, column, n):
    """The first n float uniforms of a stream, in [-1, 1]."""
    groups = -(-n // 64)
    x = words(key, layer, tensor, column, 16 * groups).astype(np.uint32).view(np.int32).astype(float)
    return ((x + 0.5) / 2.0**31).reshape(4, groups, 16).transpose(1, 0, 2).ravel()[:n]


def epoch_order(key, epoch, count):
    """Fisher and Yates's permutation, highest place first, one word of the epoch's stream each."""
    drawn = words(key, epoch, SHUFFLE, 0, -(-count // 4)).T.ravel()
    order = list(range(count))
    for number, place in enumerate(range(count - 1, 0, -1)):
        other = int(drawn[number]) * (place + 1) >> 32
        order[place], order[other] = order[other], order[place]
    return order


# -- checkpoints --

@dataclass
class Checkpoint:
    """rate, step, recorded: where the training stands; parameters and states as they are stored, float32."""

    rate: int
    step: int
    recorded: int
    parameters: np.ndarray
    states: list
    pieces: list


def split(data):
    """(head, pieces) of the bytes of a checkpoint whose sum is right."""
    assert data[:16] == b"eoc checkpoint 1"
    assert struct.unpack("=I", data[-4:])[0] == zlib.crc32(data[:-4])
    count = struct.unpack_from("=I", data, 28)[0]
    sizes = struct.unpack_from(f"={count}Q", data, 32)
    at = 32 + 8 * count
    pieces = []
    for size in sizes:
        pieces.append(data[at:at + size])
        at += size
    assert at == len(data) - 4
    return data[:32], pieces


def join(head, pieces):
    """The bytes of a checkpoint, with their sum."""
    data = head + struct.pack(f"={len(pieces)}Q", *map(len, pieces)) + b"".join(pieces)
    return data + struct.pack("=I", zlib.crc32(data))


def read_checkpoint(path):
    _, pieces = split(path.read_bytes())
    rate, step, recorded = struct.unpack("=3i", pieces[0])
    states = []
    while len(pieces[2 + len(states)]) == len(pieces[1]):
        states.append(np.frombuffer(pieces[2 + len(states)], dtype=np.float32))
    return Checkpoint(rate, step, recorded, np.frombuffer(pieces[1], dtype=np.float32), states, pieces)


# -- networks --

def _cosh(z):
    return np.cosh(np.clip(z, -300, 300))


ACTIVATIONS = {
    "tanh": (np.tanh, lambda z: 1.0 / _cosh(z) ** 2),
    "linear": (lambda z: z, np.ones_like),
    "relu": (lambda z: np.maximum(z, 0.0), lambda z: (z > 0).astype(float)),
}


def cross_entropy(y, t):
    """Mean over samples, and its derivative by y."""
    shifted = y - y.max(axis=1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -(t * logs).sum(axis=1).mean(), (np.exp(logs) - t) / len(y)


def mse(y, t):
    return ((y - t) ** 2).mean(), 2.0 * (y - t) / y.size


LOSSES = {"cross_entropy": cross_entropy, "mse": mse}


@dataclass
class Net:
    """z = W h + b in every layer, the last the read-out."""

    activation: str
    features: int
    width: int
    depth: int
    outputs: int
    w: np.ndarray  # all parameters, one after the other

    def layers(self, parameters):
        """[(W, b)] views of an array like w."""
        found, at, fan_in = [], 0, self.features
        for fan_out in [self.width] * self.depth + [self.outputs]:
            weights = parameters[at:at + fan_out * fan_in].reshape(fan_out, fan_in)
            at += fan_out * fan_in
            found.append((weights, parameters[at:at + fan_out]))
            at += fan_out
            fan_in = fan_out
        assert at == len(parameters)
        return found

    def is_bias(self):
        """Which parameters are biases."""
        found = np.zeros(len(self.w), bool)
        for _, biases in self.layers(found):
            biases[...] = True
        return found

    def forward(self, x):
        """([h^0 = x, h^1, ...], [z^1, ..., y])"""
        phi, _ = ACTIVATIONS[self.activation]
        hs, zs = [x], []
        for weights, biases in self.layers(self.w):
            zs.append(hs[-1] @ weights.T + biases)
            hs.append(phi(zs[-1]))
        return hs[:-1], zs

    def gradient(self, x, t, loss):
        """(loss, its derivative by w)"""
        _, dphi = ACTIVATIONS[self.activation]
        hs, zs = self.forward(x)
        value, dz = LOSSES[loss](zs[-1], t)
        g = np.empty_like(self.w)
        layers, slots = self.layers(self.w), self.layers(g)
        for at in reversed(range(len(layers))):
            slots[at][0][...] = dz.T @ hs[at]
            slots[at][1][...] = dz.sum(axis=0)
            if at:
                dz = (dz @ layers[at][0]) * dphi(zs[at - 1])
        return value, g

    def loss(self, x, t, loss):
        return LOSSES[loss](self.forward(x)[1][-1], t)[0]


@dataclass
class LayeredNet:
    """The other architectures. A pass through the layers leaves behind each operation a function that takes the derivative by what it
    gave to that by what it took, and puts that by its parameters into a vector like w."""

    activation: str
    features: int
    width: int
    depth: int
    outputs: int
    w: np.ndarray
    form: str = "fully_connected"  # or pre_activation, reduced, full: residual
    norm: str = ""                 # or batch, layer
    epsilon: float = 1e-5
    keep: float = 1.0
    skip: float = 1.0
    branch: float = 1.0
    key: tuple = ()                # of the masks
    chunk: int = 64                # samples that are evaluated at a time
    step: int = 0
    running: dict = field(default_factory=dict)
    biases: set = field(default_factory=set)  # the ends of every stretch, once a pass has met them

    def is_bias(self):
        """Which parameters are biases."""
        found = np.zeros(len(self.w), bool)
        for start, stop in self.biases:
            found[start:stop] = True
        return found

    def _take(self, *shape):
        start = self._at
        self._at += int(np.prod(shape))
        return slice(start, self._at), self.w[start:self._at].reshape(shape)

    def _matrix(self, h, fan_out):
        (at_w, weights), (at_b, biases) = self._take(fan_out, h.shape[1]), self._take(fan_out)
        self.biases.add((at_b.start, at_b.stop))

        def back(dz, g):
            g[at_w], g[at_b] = (dz.T @ h).ravel(), dz.sum(axis=0)
            return dz @ weights

        self._backs.append(back)
        return h @ weights.T + biases

    def _norm(self, u, layer):
        if not self.norm:
            return u
        (at_gamma, gamma), (at_beta, beta) = self._take(u.shape[1]), self._take(u.shape[1])
        axis = 0 if self.norm == "batch" else 1
        if self.norm == "batch" and not self._step and self.running:
            mean, variance = self.running[layer]
            return gamma * (u - mean) / np.sqrt(variance + self.epsilon) + beta
        n = u.shape[axis]
        mean, variance = u.mean(axis=axis, keepdims=True), u.var(axis=axis, keepdims=True)
        if self.norm == "batch" and self._step:
            seen = np.array([mean[0], u.var(axis=0, ddof=1)])
            share = max(0.1, 1.0 / self._step)
            before = self.running.get(layer, np.zeros_like(seen))
            self.running[layer] = before + share * (seen - before)
        s = np.sqrt(variance + self.epsilon)
        x = (u - mean) / s

        def back(dy, g):
            """By way of mean and variance, each a function of u (Ioffe & Szegedy 2015, section 3)."""
            g[at_gamma], g[at_beta] = (dy * x).sum(axis=0), dy.sum(axis=0)
            dx = dy * gamma
            dvariance = (dx * (u - mean) * -0.5 / s**3).sum(axis=axis, keepdims=True)
            dmean = (-dx / s).sum(axis=axis, keepdims=True) - 2.0 * dvariance * (u - mean).mean(axis=axis, keepdims=True)
            return dx / s + dvariance * 2.0 * (u - mean) / n + dmean / n

        self._backs.append(back)
        return gamma * x + beta

    def _phi(self, z, layer):
        twice = self.activation == "crelu"
        phi, dphi = ACTIVATIONS["relu" if twice else self.activation]
        h = np.hstack([phi(z), phi(-z)]) if twice else phi(z)
        slope = np.hstack([dphi(z), -dphi(-z)]) if twice else dphi(z)
        if self._step and self.keep < 1.0:
            kept = uniforms(self.key, layer, TRAIN_MASK, self._step, h.size).reshape(h.shape) < 2.0 * self.keep - 1.0
            h, slope = h * kept / self.keep, slope * kept / self.keep

        def back(dh, _):
            product = dh * slope
            return product[:, :z.shape[1]] + product[:, z.shape[1]:] if twice else product

        self._backs.append(back)
        return h

    def _block(self, s, layer):
        before, self._backs = self._backs, []
        if self.form == "pre_activation":
            f = self._matrix(self._phi(self._norm(s, layer), layer), self.width)
        else:
            f = self._phi(self._norm(self._matrix(s, self.width), layer), layer)
            f = self._matrix(f, self.width) if self.form == "full" else f
        inner, self._backs = self._backs, before

        def back(d, g):
            through = self.branch * d
            for step in reversed(inner):
                through = step(through, g)
            return self.skip * d + through

        self._backs.append(back)
        return self.skip * s + self.branch * f

    def _pass(self, x, step):
        self._at, self._backs, self._step = 0, [], step
        h = x
        for layer in range(1, self.depth + 1):
            if self.form == "fully_connected":
                h = self._phi(self._norm(self._matrix(h, self.width), layer), layer)
            else:
                h = self._matrix(h, self.width) if layer == 1 else self._block(h, layer)
        y = self._matrix(h, self.outputs)
        assert self._at == len(self.w)
        return y

    def forward(self, x):
        """As it is used: (nothing, [y])."""
        return None, [np.vstack([self._pass(x[at:at + self.chunk], 0) for at in range(0, len(x), self.chunk)])]

    def gradient(self, x, t, loss):
        """Of the next step: (loss, its derivative by w)"""
        self.step += 1
        value, d = LOSSES[loss](self._pass(x, self.step), t)
        g = np.full_like(self.w, np.nan)
        for back in reversed(self._backs):
            d = back(d, g)
        return value, g

    def loss(self, x, t, loss):
        return LOSSES[loss](self.forward(x)[1][-1], t)[0]


@dataclass
class ConvolutionalNet(LayeredNet):
    """Layers whose h is (samples positions, channels): images (channel, row, column) are cut into blocks, what a position sees is rolled or
    shifted into place, taps row by row."""

    image: tuple = (1, 4, 4)  # channels, rows, columns
    side: int = 4
    dimensions: int = 2
    kernel: int = 3
    circular: bool = True
    average: bool = False

    @property
    def positions(self):
        return self.side**self.dimensions

    def _blocks(self, x):
        """(samples, side ..., values of a block)"""
        channels, rows, columns = self.image
        if self.dimensions == 1:
            return x.reshape(len(x), channels, self.side, -1).transpose(0, 2, 1, 3).reshape(len(x), self.side, -1)
        s = rows // self.side
        cut = x.reshape(len(x), channels, self.side, s, self.side, s)
        return cut.transpose(0, 2, 4, 1, 3, 5).reshape(len(x), self.side, self.side, -1)

    def _offsets(self):
        reach = range(-(self.kernel // 2), self.kernel // 2 + 1)
        return [(a,) for a in reach] if self.dimensions == 1 else [(a, b) for a in reach for b in reach]

    def _seen(self, h, offset):
        """What is at p + offset, for every p; zeros beyond the edge."""
        if self.circular:
            return np.roll(h, [-o for o in offset], axis=range(1, 1 + self.dimensions))
        reach = self.kernel // 2
        padded = np.pad(h, [(0, 0)] + [(reach, reach)] * self.dimensions + [(0, 0)])
        return padded[(slice(None), *(slice(reach + o, reach + o + self.side) for o in offset))]

    def _matrix(self, h, fan_out):
        if self._flat:
            return super()._matrix(h, fan_out)
        grid = self._blocks(h) if self._first else h.reshape(-1, *[self.side] * self.dimensions, h.shape[1])
        first, self._first = self._first, False
        channels = grid.shape[-1]
        offsets = self._offsets()
        patches = np.concatenate([self._seen(grid, o) for o in offsets], axis=-1).reshape(-1, len(offsets) * channels)
        (at_w, weights), (at_b, biases) = self._take(fan_out, patches.shape[1]), self._take(fan_out)
        self.biases.add((at_b.start, at_b.stop))

        def back(dz, g):
            g[at_w], g[at_b] = (dz.T @ patches).ravel(), dz.sum(axis=0)
            if first:
                return None
            seen = (dz @ weights).reshape(*grid.shape[:-1], len(offsets), channels)
            return sum(self._seen(seen[..., t, :], tuple(-o for o in offset)) for t, offset in enumerate(offsets)).reshape(-1, channels)

        self._backs.append(back)
        return patches @ weights.T + biases

    def _pass(self, x, step):
        self._first, self._flat = True, False
        self._at, self._backs, self._step = 0, [], step
        h = x
        for layer in range(1, self.depth + 1):
            if self.form == "fully_connected":
                h = self._phi(self._norm(self._matrix(h, self.width), layer), layer)
            else:
                h = self._matrix(h, self.width) if layer == 1 else self._block(h, layer)
        shape = (len(x), self.positions, h.shape[1])
        h = h.reshape(shape).mean(axis=1) if self.average else h.reshape(len(x), -1)
        self._backs.append(lambda d, g: (np.repeat(d / self.positions, self.positions, axis=0) if self.average
                                         else d.reshape(-1, shape[2])))
        self._flat = True
        y = self._matrix(h, self.outputs)
        assert self._at == len(self.w)
        return y


# -- optimizers: w, gradient g, learning rate a, step t from 1, states s --

def sgd(w, g, a, t, s):
    w -= a * g


def momentum(w, g, a, t, s, keep=0.9):
    """Polyak 1964, Sutskever et al. 2013 as PyTorch has it: v = m v + g"""
    s[0][...] = keep * s[0] + g
    w -= a * s[0]


def rmsprop(w, g, a, t, s):
    """Tieleman & Hinton 2012, decay 0.99"""
    s[0][...] = 0.99 * s[0] + 0.01 * g**2
    w -= a * g / (np.sqrt(s[0]) + 1e-8)


def adam(w, g, a, t, s):
    """Kingma & Ba 2015, algorithm 1"""
    s[0][...] = 0.9 * s[0] + 0.1 * g
    s[1][...] = 0.999 * s[1] + 0.001 * g**2
    w -= a * (s[0] / (1 - 0.9**t)) / (np.sqrt(s[1] / (1 - 0.999**t)) + 1e-8)


OPTIMIZERS = {"sgd": sgd, "momentum": momentum, "rmsprop": rmsprop, "adam": adam}
NUM_STATES = {"sgd": 0, "momentum": 1, "rmsprop": 1, "adam": 2}


@dataclass
class Training:
    """Gradient descent from where a net stands."""

    net: Net
    loss: str
    optimizer: str
    learning_rate: float
    clip: float = 0.0
    bias_rate: float = 1.0
    step: int = 0
    states: list = field(default_factory=list)

    def __post_init__(self):
        self.states = self.states or [np.zeros_like(self.net.w) for _ in range(NUM_STATES[self.optimizer])]

    def take(self, x, t):
        """One step on a batch."""
        _, g = self.net.gradient(x, t, self.loss)
        norm = np.linalg.norm(g)
        if self.clip and norm > self.clip:
            g *= self.clip / norm
        self.step += 1
        rates = np.where(self.net.is_bias(), self.bias_rate, 1.0) * self.learning_rate
        OPTIMIZERS[self.optimizer](self.net.w, g, rates, self.step, self.states)
