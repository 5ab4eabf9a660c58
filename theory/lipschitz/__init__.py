"""Lipschitz constants of networks, each with what certifies it."""
