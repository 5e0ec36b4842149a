"""Times ksd's network beside onnxruntime and PyTorch, in turns; see README.md.

    peers.py FOLDER ROUNDS

FOLDER has the tests of internal/model/base, compiled, as "portable" and "simd".
"""
import json
import os
import platform
import re
import subprocess
import sys
import time

# OpenBLAS reads it when it is loaded.
os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch

import network
import onnx

FORWARDS = 2000  # passes in a block
STEPS = 8  # of training in a block: each batch once
HERE = os.path.dirname(os.path.abspath(__file__))


class Ours:
    """One build of ksd. Blocks return ns for one pass or step."""

    def __init__(self, folder, build, size):
        self.binary, self.size = os.path.join(folder, build), size
        self.folder = os.path.join(folder, build + "-" + size)
        os.makedirs(self.folder, exist_ok=True)

    def run(self, benchmark, times, *more):
        out = subprocess.run(
            [self.binary, "-test.run", "^$", "-test.bench", "^BenchmarkPeers%s$/^%s$" % (benchmark, self.size),
             "-test.cpu", "1", "-test.benchtime", "%dx" % times, *more], check=True, stdout=subprocess.PIPE, text=True).stdout
        return float(re.search(r"([0-9.]+) ns/op", out).group(1))

    def problem(self, benchmark, times):
        """What a benchmark computes, and our answer."""
        self.run(benchmark, times, "-peers", self.folder)
        with open(os.path.join(self.folder, benchmark.lower() + ".json")) as f:
            return json.load(f)


class Onnxruntime:
    """onnxruntime at the network of a problem, called from Node."""

    def __init__(self, folder, size, p):
        self.folder = os.path.join(folder, "onnx-" + size)
        os.makedirs(self.folder, exist_ok=True)
        spec, sequence = p["Spec"], p["Inputs"][0][0]
        steps = len(sequence["Keys"])
        self.write("network.onnx", onnx.network(spec, network.split(spec, p["Weights"]), steps))
        self.write("empty.onnx", onnx.empty(steps, spec["features"]))
        self.write("input.json", json.dumps(sequence).encode())

    def write(self, name, content):
        with open(os.path.join(self.folder, name), "wb") as f:
            f.write(content)

    def run(self):
        out = subprocess.run(["node", os.path.join(HERE, "forward.js"), self.folder, str(FORWARDS)],
                             check=True, stdout=subprocess.PIPE, text=True).stdout
        return json.loads(out)


def agree(what, got, want, tolerance):
    apart = np.abs(np.array(got) - np.array(want)).max()
    print("  %-34s %.0e" % (what, apart))
    if not apart <= tolerance:
        sys.exit("peers.py: %s: more than %.0e from ksd's portable build: they do not compute the same" % (what, tolerance))


def torch_block(training):
    start = time.perf_counter_ns()
    for i in range(STEPS):
        training.step(i)
    return (time.perf_counter_ns() - start) / STEPS


def forward(folder, size, builds):
    """The contenders of a pass forward, by name: functions that return ns."""
    ours = {b: Ours(folder, b, size) for b in builds}
    problems = {b: o.problem("Forward", 1) for b, o in ours.items()}
    p = problems[builds[0]]
    runtime = Onnxruntime(folder, size, p)
    first = runtime.run()
    for b in builds[1:]:
        agree("ksd " + problems[b]["Kernel"], problems[b]["Outputs"], p["Outputs"], 1e-4)
    agree("onnxruntime " + first["version"], first["out"], p["Outputs"], 1e-4)
    model = network.Network(p["Spec"], p["Weights"], packed=False)
    agree("PyTorch", model(*network.load(p["Inputs"][0], p["Spec"]["features"])).detach()[0], p["Outputs"], 1e-4)
    contenders = {"ksd " + problems[b]["Kernel"]: lambda o=o: o.run("Forward", FORWARDS) for b, o in ours.items()}
    contenders["onnxruntime %s, Node %s" % (first["version"], first["node"])] = lambda: runtime.run()["ns"]
    contenders["  of that, the call from Node"] = lambda: runtime.run()["empty"]
    return contenders


def training(folder, size, builds):
    """The contenders of a step of training."""
    ours = {b: Ours(folder, b, size) for b in builds}
    problems = {b: o.problem("Training", STEPS) for b, o in ours.items()}
    p = problems[builds[0]]
    theirs = {"packed": network.Training(p, packed=True), "padded": network.Training(p, packed=False)}
    for b in builds[1:]:
        agree("ksd " + problems[b]["Kernel"], problems[b]["Losses"], p["Losses"], 1e-2)
    for form, t in theirs.items():
        losses = [t.step(i) for i in range(STEPS)]
        agree("PyTorch %s, first loss" % form, losses[0], p["Losses"][0], 1e-4)
        agree("PyTorch %s, %d losses" % (form, STEPS), losses, p["Losses"], 1e-2)
    contenders = {"ksd " + problems[b]["Kernel"]: lambda o=o: o.run("Training", STEPS) for b, o in ours.items()}
    for form, t in theirs.items():
        contenders["PyTorch %s, %s" % (torch.__version__, form)] = lambda t=t: torch_block(t)
    return contenders


def spread(x):
    return "%.2f [%.2f, %.2f]" % tuple(np.percentile(x, [50, 25, 75]))


def compare(contenders, ours, rounds, unit):
    """Runs all contenders in turns. A ratio is of two blocks of one round, so that
    what else the machine does falls on both."""
    ns = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, block in contenders.items():
            ns[name].append(block())
    ns = {name: np.array(x) for name, x in ns.items()}
    first = list(ns)[:ours]
    print("  %-34s %-27s" % ("", "time, " + {1e3: "µs", 1e6: "ms"}[unit])
          + "".join("%-22s" % (n + " is faster ×") for n in first))
    for name, x in ns.items():
        print("  %-34s %-27s" % (name, spread(x / unit)) + "".join("%-22s" % spread(x / ns[n]) for n in first))


def main(folder, rounds):
    torch.set_num_threads(1)
    with open("/proc/cpuinfo") as f:
        cpu = re.search(r"model name\s*: (.*)", f.read()).group(1)
    print("%s, %s; one thread each; median [quartiles] of %d rounds" % (cpu, platform.machine(), rounds))
    builds = ["portable", "simd"]
    for size in "shipped", "small":
        print("\n%s network, pass forward, 32 keys: outputs apart by" % size)
        compare(forward(folder, size, builds), len(builds), rounds, 1e3)
        print("\n%s network, step of training: losses apart by" % size)
        compare(training(folder, size, builds), len(builds), rounds, 1e6)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
