//! Slow and obvious, on ndarray: the oracle every other back end is held to.
