"""The network and its training once more, in PyTorch."""
import numpy as np
import torch


def split(spec, weights):
    """The blocks of a weight vector, see package network. A layer is its matrices
    and its bias."""
    at = 0

    def take(*shape):
        nonlocal at
        n = int(np.prod(shape))
        at += n
        return np.array(weights[at - n:at], np.float32).reshape(shape)

    f, e, h, d, k = (spec[x] for x in ("features", "embedding", "hidden", "dense", "classes"))
    blocks = {"embedding": take(spec["keys"], e)}
    for name, inputs in ("forward", f + e), ("backward", f + e), ("key", e):
        blocks[name] = (take(inputs, 4 * h), take(h, 4 * h), take(4 * h))
    blocks["dense"] = (take(3 * h, d), take(d))
    blocks["output"] = (take(d, k), take(k))
    assert at == len(weights)
    return blocks


class Network(torch.nn.Module):
    """The same network in PyTorch, at the same weights. Packed sequences spare it
    the steps that a shorter one does not have; padded ones are computed to the end
    and masked."""

    def __init__(self, spec, weights, packed):
        super().__init__()
        self.packed, blocks = packed, split(spec, weights)
        f, e, h, d, k = (spec[x] for x in ("features", "embedding", "hidden", "dense", "classes"))
        self.embedding = torch.nn.Embedding(spec["keys"], e)
        self.layers = torch.nn.ModuleList([torch.nn.LSTM(n, h) for n in (f + e, f + e, e)])
        self.dense, self.output = torch.nn.Linear(3 * h, d), torch.nn.Linear(d, k)
        with torch.no_grad():
            self.embedding.weight.copy_(torch.from_numpy(blocks["embedding"]))
            for layer, name in zip(self.layers, ("forward", "backward", "key")):
                for part, a in zip((layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0), blocks[name]):
                    part.copy_(torch.from_numpy(a.T))
                layer.bias_hh_l0.zero_().requires_grad_(False)  # we have one bias, PyTorch two
            for layer, name in (self.dense, "dense"), (self.output, "output"):
                layer.weight.copy_(torch.from_numpy(blocks[name][0].T))
                layer.bias.copy_(torch.from_numpy(blocks[name][1]))

    def mean(self, layer, x, lengths, live):
        """The mean of a layer's states, B × H."""
        if self.packed:
            x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
            states = torch.nn.utils.rnn.pad_packed_sequence(layer(x)[0])[0]
        else:
            states = layer(x)[0] * live
        return states.sum(0) / lengths[:, None]

    def forward(self, keys, features, lengths):
        """Keys are T × B, features T × B × F, lengths B."""
        steps = torch.arange(len(keys))[:, None]
        live = steps < lengths
        back = torch.where(live, lengths - 1 - steps, steps)
        rows = self.embedding(keys)
        timing = torch.cat([features, rows], 2)
        inputs = timing, timing[back, torch.arange(len(lengths))], rows
        states = torch.cat([self.mean(n, x, lengths, live[:, :, None]) for n, x in zip(self.layers, inputs)], 1)
        return self.output(torch.relu(self.dense(states)))


def load(batch, features):
    """A batch as tensors."""
    lengths = torch.tensor([len(s["Keys"]) for s in batch])
    keys = torch.zeros(int(lengths.max()), len(batch), dtype=torch.long)
    x = torch.zeros(int(lengths.max()), len(batch), features)
    for i, s in enumerate(batch):
        n = len(s["Keys"])
        keys[:n, i] = torch.tensor(s["Keys"])
        x[:n, i] = torch.tensor(s["Features"]).reshape(n, features)
    return keys, x, lengths


def prototypes(embeddings, people, crops, spread):
    """The loss of package train, see prototype.go."""
    x = embeddings.reshape(people, crops, -1)
    loss, owners = 0, torch.arange(people).repeat_interleave(crops // 2)
    for a, b in (x[:, :crops // 2], x[:, crops // 2:]), (x[:, crops // 2:], x[:, :crops // 2]):
        queries = b.reshape(-1, 1, x.shape[2])
        logits = -((queries - a.mean(1)) ** 2).sum(2)
        loss = loss + torch.nn.functional.cross_entropy(logits, owners) / 2
    radii = ((x - x.mean(1, keepdim=True)) ** 2).sum(2).mean(1)
    mean = radii.mean() + 1e-6
    return loss + spread * ((radii - mean) ** 2).mean() / mean ** 2


class Training:
    """One training in PyTorch."""

    def __init__(self, p, packed):
        self.options, self.batches = p["Options"], [load(b, p["Spec"]["features"]) for b in p["Inputs"]]
        self.network = Network(p["Spec"], p["Weights"], packed)
        self.parameters = [w for w in self.network.parameters() if w.requires_grad]
        self.adam = torch.optim.Adam(self.parameters, p["Rate"])

    def step(self, i):
        o = self.options
        self.adam.zero_grad()
        loss = prototypes(self.network(*self.batches[i % len(self.batches)]), o["People"], o["Crops"], o["Spread"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, o["Clip"])
        self.adam.step()
        return loss.item()
