"""An independent implementation of HPPR packets and of the repository on a file system.

It is simple rather than fast: whole packets are held in memory. It shares no code with the Rust crate,
so that the test vectors and the walker can disagree with it.
"""
