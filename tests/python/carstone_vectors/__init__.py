"""The cases of the test vectors, made with `carstone_format`."""
