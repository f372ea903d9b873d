"""One image engine in two and three dimensions; every family of GANs is a short recipe for it."""
