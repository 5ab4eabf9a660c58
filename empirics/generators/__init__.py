"""Generators of images from a standard normal latent, one file each."""
