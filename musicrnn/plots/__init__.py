"""Plots: piano rolls, learning curves, corpora, likelihoods and sweeps as pictures or as text.

Functions take values, never models. The same values give the same bytes.
"""
