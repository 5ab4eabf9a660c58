"""The falsifier: counterexamples to claims, searched where the exact truth is computable.

A specimen is a small subject: a network (`laboratories.networks`), a classifier of Gaussian
latents (`laboratories.gauss`), or the parameters of a formula that a theorem contradicts
(`formulas`). Hypothesis draws its structure and shrinks it, an evolution strategy moves its weights
to where the claim has least room (`search`), and what violates the claim is rounded to simple
numbers (`shrinking`). A find counts if a second method, which shares no code with the first, says
so too by more than all errors. It is stored as a witness that anyone can compute again (`witness`).

A quantity is known here if a file under `providers` registers it, or an entry point of the group
"advbounds.providers"; a family if one under `laboratories`, or of "advbounds.laboratories".
"""
