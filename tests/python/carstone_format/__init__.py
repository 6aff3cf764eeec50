"""An independent implementation of the carstone format, written from `docs/format.md` alone.

It is simple rather than fast: whole packs are held in memory. It shares no code with the Rust crates,
so that the test vectors and the reader can disagree with them.
"""
