"""Plots: piano rolls, learning curves, corpora, likelihoods and sweeps as pictures or as text.

Functions take values, never models. The same values give the same bytes. Files are .png, .svg or .pdf;
FileError is raised for any other name, and if the file cannot be written.
"""
