"""Sequences of bits for models/ntm.nn: copy.csv.gz, 2,000 rows of 4 steps of 3 bits, step by step.

    python models/data/copy.py        (needs numpy)
"""

import gzip
import pathlib

import numpy as np

rows = np.random.default_rng(7).integers(0, 2, size=(2000, 12))
text = "\n".join(",".join(map(str, row)) for row in rows) + "\n"
path = pathlib.Path(__file__).parent / "copy.csv.gz"
path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
print(path.name, path.stat().st_size, "bytes")
