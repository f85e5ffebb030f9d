"""One update of the Nature DQN in float64 NumPy: what the project's learner is compared with.

Network and loss are the paper's (Methods: "Model architecture", "Training algorithm"); the optimiser is
the released code's. ``weights`` are ten arrays, kernel and bias of each layer in turn:
[32, 4, 8, 8], [64, 32, 4, 4], [64, 64, 3, 3], [512, 3136], [A, 512].
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

# ---------------------------------------------------------------------- layers


def linear(x, w, b):
    """y = w x + b, for rows x [N, I]."""
    return x @ w.T + b


def linear_back(dy, x, w):
    """dL/dw, dL/db and dL/dx from dL/dy."""
    return dy.T @ x, dy.sum(axis=0), dy @ w


def patches(x, size, stride):
    """What a kernel sees at each place: [B, C, H, W] -> [B, H', W', C, size, size]."""
    return sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride].transpose(0, 2, 3, 1, 4, 5)


def conv(x, w, b, stride):
    """y[o, i, j] = b[o] + sum over c, u, v of w[o, c, u, v] x[c, stride i + u, stride j + v]: no padding."""
    y = np.tensordot(patches(x, w.shape[-1], stride), w, axes=([3, 4, 5], [1, 2, 3])) + b  # [B, H', W', O]
    return y.transpose(0, 3, 1, 2)


def conv_back(dy, x, w, stride):
    """dL/dw, dL/db and dL/dx: a pixel of x collects from every patch that it was in."""
    _, _, rows, columns = dy.shape
    size = w.shape[-1]
    dw = np.tensordot(dy, patches(x, size, stride), axes=([0, 2, 3], [0, 1, 2]))
    to_patches = np.tensordot(w, dy, axes=(0, 1))  # [C, size, size, B, H', W']
    dx = np.zeros_like(x)
    for u in range(size):
        for v in range(size):
            place = np.s_[:, :, u : u + stride * rows : stride, v : v + stride * columns : stride]
            dx[place] += to_patches[:, u, v].swapaxes(0, 1)
    return dw, dy.sum(axis=(0, 2, 3)), dx


def relu(x):
    """max(x, 0)"""
    return np.maximum(x, 0)


# ---------------------------------------------------------------------- network


def layers(weights, state):
    """The input of every layer, and last Q [B, A], of states [B, 4, 84, 84] u8."""
    w1, b1, w2, b2, w3, b3, w4, b4, w5, b5 = weights
    x0 = state / 255.0
    x1 = relu(conv(x0, w1, b1, stride=4))  # [B, 32, 20, 20]
    x2 = relu(conv(x1, w2, b2, stride=2))  # [B, 64, 9, 9]
    x3 = relu(conv(x2, w3, b3, stride=1)).reshape(len(state), -1)  # [B, 64 * 7 * 7]
    x4 = relu(linear(x3, w4, b4))  # [B, 512]
    return x0, x1, x2, x3, x4, linear(x4, w5, b5)


def layers_back(weights, inputs, is_open, dq):
    """dL/dw of the ten weights from dL/dQ [B, A]; a ReLU lets it pass where it is open."""
    w1, _, w2, _, w3, _, w4, _, w5, _ = weights
    x0, x1, x2, x3, x4 = inputs
    open1, open2, open3, open4 = is_open
    dw5, db5, dx4 = linear_back(dq, x4, w5)
    dw4, db4, dx3 = linear_back(dx4 * open4, x3, w4)
    dw3, db3, dx2 = conv_back((dx3 * open3).reshape(-1, 64, 7, 7), x2, w3, stride=1)
    dw2, db2, dx1 = conv_back(dx2 * open2, x1, w2, stride=2)
    dw1, db1, _ = conv_back(dx1 * open1, x0, w1, stride=4)
    return [dw1, db1, dw2, db2, dw3, db3, dw4, db4, dw5, db5]


# ---------------------------------------------------------------------- loss


def td_errors(q_tm1, a_tm1, r_t, discount_t, q_t):
    """delta = r + discount max_a Q'(s_t, a) - Q(s_tm1, a_tm1), [B]; a terminal transition's discount is 0."""
    return r_t + discount_t * q_t.max(axis=1) - q_tm1[np.arange(len(a_tm1)), a_tm1]


def td_loss(delta):
    """The function whose slope is the error clipped to +-1, summed over the batch."""
    return np.where(abs(delta) <= 1, delta**2 / 2, abs(delta) - 1 / 2).sum()


def sent_back(delta, a_tm1, num_actions):
    """-dL/dQ [B, A]: the clipped error, at the action taken."""
    dq = np.zeros((len(delta), num_actions))
    dq[np.arange(len(delta)), a_tm1] = delta.clip(-1, 1)
    return dq


# ---------------------------------------------------------------------- optimiser


def rmsprop(w, dw, g, g2, lr=0.00025, decay=0.95, decay2=0.95, floor=0.01):
    """The new w, g and g2: ``qLearnMinibatch`` of NeuralQLearner.lua, line by line."""
    g = decay * g + (1 - decay) * dw  # self.g:mul(0.95):add(0.05, self.dw)
    tmp = dw * dw  # self.tmp:cmul(self.dw, self.dw)
    g2 = decay2 * g2 + (1 - decay2) * tmp  # self.g2:mul(0.95):add(0.05, self.tmp)
    tmp = g * g  # self.tmp:cmul(self.g, self.g)
    tmp = -tmp  # self.tmp:mul(-1)
    tmp = tmp + g2  # self.tmp:add(self.g2)
    tmp = tmp + floor  # self.tmp:add(0.01)
    tmp = np.sqrt(tmp)  # self.tmp:sqrt()
    deltas = lr * dw / tmp  # self.deltas:mul(0):addcdiv(self.lr, self.dw, self.tmp)
    return w + deltas, g, g2  # self.w:add(self.deltas)


# ---------------------------------------------------------------------- learner


class NumpyLearner:
    """Online and target weights, and the optimiser's g and g2."""

    def __init__(self, weights):
        self.weights = self.target_weights = [np.asarray(w, np.float64) for w in weights]
        self.g = self.g2 = [np.zeros_like(w) for w in self.weights]

    def sync_target(self):
        """From now on targets come from the weights of now."""
        self.target_weights = self.weights

    def forward(self, s_tm1, a_tm1, r_t, discount_t, s_t):
        """The inputs of the five layers for s_tm1, and the errors [B]."""
        *inputs, q_tm1 = layers(self.weights, s_tm1)
        *_, q_t = layers(self.target_weights, s_t)
        return inputs, td_errors(q_tm1, a_tm1, r_t, discount_t, q_t)

    def backward(self, inputs, delta, a_tm1, is_open=None):
        """The released code's dw, which is -dL/dw: it sends the clipped errors themselves back, and adds them up."""
        if is_open is None:
            is_open = [x > 0 for x in inputs[1:]]
        return layers_back(self.weights, inputs, is_open, sent_back(delta, a_tm1, len(self.weights[-1])))

    def step(self, dw):
        """Move the weights."""
        self.weights, self.g, self.g2 = zip(*map(rmsprop, self.weights, dw, self.g, self.g2), strict=True)
