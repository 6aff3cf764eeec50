"""An independent implementation of parity (format, section 14).

It is simple rather than fast: streams and parity are held in memory, and the code is solved by interpolation.
It shares neither code nor structure with the Rust crate or the Reed–Solomon library below it.
"""
