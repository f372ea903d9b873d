"""A small deterministic stage, also run as a program that can be killed: ``python toy_stage.py CHECKPOINT``."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from synthkit.gan.budget import Budget
from synthkit.gan.state import copy_into, pack_optimizer, unpack_optimizer
from synthkit.gan.trainer import Trainer


class ToyStage:
    """Noisy descent on the distance to (0, 1, 2, 3, 4)."""

    def __init__(self, name="toy", steps=200, pause=0.0, broken_at=()):
        self.name, self.total_steps, self.evaluate_every = name, steps, 20
        self.weight = torch.zeros(5, requires_grad=True)
        self.optimizer = torch.optim.Adam([self.weight], lr=0.05, fused=True)
        self.rng = torch.Generator().manual_seed(0)
        self.pause, self.broken_at, self.recovered = pause, set(broken_at), 0
        self.taken = []

    def step(self, index):
        self.taken.append(index)
        time.sleep(self.pause)
        noise = torch.randn(5, generator=self.rng)
        loss = (self.weight - torch.arange(5) + 0.5 * noise).square().mean()
        if index in self.broken_at:
            loss = loss * float("nan")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def evaluate(self):
        return -float((self.weight.detach() - torch.arange(5)).square().mean())

    def snapshot(self):
        return {"weight": self.weight.detach().clone()}

    def restore(self, weights):
        copy_into([("weight", self.weight)], weights)

    def state(self):
        tensors = {"weight": self.weight.detach().clone(), "random": self.rng.get_state()}
        return {"recovered": self.recovered}, tensors | pack_optimizer("optimizer", self.optimizer)

    def load_state(self, values, tensors):
        self.recovered = values["recovered"]
        copy_into([("weight", self.weight)], tensors)
        self.rng.set_state(tensors["random"])
        unpack_optimizer("optimizer", self.optimizer, tensors)

    def recover(self):
        self.recovered += 1
        self.optimizer = torch.optim.Adam([self.weight], lr=0.025, fused=True)


class Announcing(ToyStage):
    """Says on standard output when it is in the middle of its plan, then goes on slowly."""

    def step(self, index):
        if index == 50:
            print("half way", flush=True)
            self.pause = 0.5
        return super().step(index)


if __name__ == "__main__":
    trainer = Trainer(Budget(), Path(sys.argv[1]), checkpoint_every=0.02)
    trainer.run(ToyStage("first", steps=100, pause=0.001))
    trainer.run(Announcing("second", steps=100, pause=0.001))
