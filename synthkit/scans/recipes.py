"""The recipes by name. Each is a few settings of one engine (`synthkit.gan.images`), none has code of its own."""

from __future__ import annotations

from synthkit.errors import InputError, unknown_name
from synthkit.gan.images.recipe import AugmentSettings, PenaltyTerm, Recipe

_R1 = PenaltyTerm("real", every=4)
_R1_R2 = PenaltyTerm("zero-centred", every=4, share=0.5)
_STRONG = PenaltyTerm("zero-centred", 1.0, every=4, share=0.5)
# what two processor cores can afford at 64 x 64
_NARROW = (128, 64, 32, 16)
_NARROW_3D = (64, 32, 16, 8)
_TRANSLATOR, _TRANSLATOR_3D = (64, 48, 32, 16), (48, 32, 16, 8)
_SHIFTED = AugmentSettings(shift=0.06)

RECIPES: dict[str, Recipe] = {
    # Huang 2024, "The GAN is dead; long live the GAN!": relativistic pairs, R1 and R2, no normalisation
    # after an anchor (Kingma 2014; Larsen 2016)
    "r3": Recipe(
        "r3",
        penalties=(PenaltyTerm("zero-centred", 1.0, every=4, share=0.5, last=0.3),),
        widths_2d=_NARROW,
        widths_3d=_NARROW_3D,
        batch=16,
        warm_up=0.05,
        augment=_SHIFTED,
        anchor=0.2,
        auxiliary=(("anchor", 3.0),),
        average=5_000,
        tones=True,
    ),
    # Goodfellow 2014; Mirza 2014; Radford 2016
    "vanilla": Recipe(
        "vanilla",
        batch=16,
        generator="perceptron",
        critic="perceptron",
        conditional=False,
        loss="vanilla",
        spread=False,
        betas=(0.5, 0.999),
    ),
    "cgan": Recipe(
        "cgan",
        widths_2d=_NARROW,
        batch=16,
        generator="plain",
        critic="plain",
        loss="vanilla",
        penalties=(_R1,),
        norm=True,
    ),
    "dcgan": Recipe(
        "dcgan",
        widths_2d=_NARROW,
        batch=16,
        generator="plain",
        critic="plain",
        conditional=False,
        loss="vanilla",
        penalties=(_R1,),
        norm=True,
        spread=False,
        betas=(0.5, 0.999),
    ),
    # Arjovsky 2017; Gulrajani 2017
    "wgan": Recipe(
        "wgan",
        widths_2d=_NARROW,
        batch=16,
        generator="plain",
        critic="plain",
        loss="wgan",
        penalties=(PenaltyTerm("clipping", 0.03),),
        norm=True,
        spread=False,
        optimizer="rmsprop",
        critic_steps=5,
    ),
    "wgan-gp": Recipe(
        "wgan-gp",
        widths_2d=_NARROW,
        batch=16,
        loss="wgan-gp",
        penalties=(PenaltyTerm("interpolated", 10.0),),
        norm=True,
        spread=False,
        betas=(0.0, 0.9),
        critic_steps=3,
    ),
    # Zhang 2019: self-attention, spectral norm, two learning rates
    "sagan": Recipe(
        "sagan",
        widths_2d=_NARROW,
        batch=16,
        loss="hinge",
        attention=(16,),
        norm=True,
        spectral=True,
        spread=False,
        learning_rate=2e-4,
        critic_rate=8e-4,
        betas=(0.0, 0.9),
    ),
    # Karras 2020: styles, noise maps, lazy R1, adaptive changes
    "stylegan": Recipe(
        "stylegan",
        widths_2d=_NARROW,
        batch=16,
        generator="style",
        loss="vanilla",
        penalties=(_R1,),
        learning_rate=1e-3,
        augment=AugmentSettings(shift=0.125, intensity=0.1, probability=None),
    ),
    # Denton 2015: detail by detail
    "lapgan": Recipe(
        "lapgan",
        widths_2d=_NARROW,
        batch=16,
        generator="pyramid",
        critic="pyramid",
        loss="vanilla",
        penalties=(_R1,),
        spread=False,
    ),
    # Ledig 2017; Zhu 2017; Pathak 2016 and Iizuka 2017; Schlegl 2019
    "srgan": Recipe(
        "srgan",
        "superresolution",
        widths_2d=_TRANSLATOR,
        widths_3d=_TRANSLATOR_3D,
        conditional=False,
        penalties=(_STRONG,),
        spread=False,
        depth=4,
        batch=16,
        learning_rate=1e-3,
        critic_rate=5e-4,
        warm_up=0.05,
        # the distance leads: what the critic sharpens costs signal-to-noise ratio
        auxiliary=(("distance", 50.0), ("features", 1.0)),
    ),
    "cyclegan": Recipe(
        "cyclegan",
        "translation",
        critic="patch",
        widths_2d=_TRANSLATOR,
        widths_3d=_TRANSLATOR_3D,
        conditional=False,
        loss="least-squares",
        spread=False,
        norm=True,
        depth=3,
        learning_rate=4e-4,
        betas=(0.5, 0.999),
        batch=8,
        pool=50,
        auxiliary=(("cycle", 10.0), ("identity", 5.0), ("paired", 100.0)),
    ),
    "inpaint": Recipe(
        "inpaint",
        "inpainting",
        widths_2d=_TRANSLATOR,
        widths_3d=_TRANSLATOR_3D,
        conditional=False,
        penalties=(_STRONG,),
        spread=False,
        depth=4,
        batch=16,
        learning_rate=6e-4,
        critic_rate=5e-4,
        warm_up=0.05,
        auxiliary=(("distance", 20.0), ("features", 1.0)),
    ),
    "fanogan": Recipe(
        "fanogan",
        "anomaly",
        widths_2d=_NARROW,
        widths_3d=_NARROW_3D,
        batch=16,
        conditional=False,
        penalties=(_R1_R2,),
        augment=_SHIFTED,
        auxiliary=(("features", 1.0),),
    ),
}


def recipe_named(name: str) -> Recipe:
    """Look up a recipe.

    Raises
    ------
    InputError
        There is no such recipe; names the nearest one.
    """
    if name not in RECIPES:
        raise InputError(unknown_name("recipe", name, RECIPES))
    return RECIPES[name]
