"""Lines of handwritten digits for models/ctc.nn: digit_lines_train.csv.gz, digit_lines_test.csv.gz.

    python models/data/digit_lines.py        (needs numpy)

A line is 8 pixels high and 40 wide: 2 to 4 digits of digits_8x8.csv.gz, with gaps of 0 to 2 columns
between them and what is left at both ends. A row holds the line column by column (40 x 8 pixels, 0..16),
then 4 labels: digit + 1, padded with 0. Test lines are made of images that no training line holds.
"""

import gzip
import pathlib

import numpy as np

HERE = pathlib.Path(__file__).parent
HEIGHT, WIDTH, LABELS = 8, 40, 4
rows = np.loadtxt(gzip.open(HERE / "digits_8x8.csv.gz", "rt"), delimiter=",", dtype=int)
random = np.random.default_rng(7)
random.shuffle(rows)


def line(images):
    chosen = images[random.integers(len(images), size=random.integers(2, LABELS + 1))]
    gaps = random.integers(0, 3, size=len(chosen))
    at = random.integers(0, WIDTH - 8 * len(chosen) - gaps[1:].sum() + 1)
    out, labels = np.zeros((WIDTH, HEIGHT), dtype=int), np.zeros(LABELS, dtype=int)
    for i, (image, gap) in enumerate(zip(chosen, gaps)):
        at += gap * (i > 0)
        out[at:at + 8] = image[:64].reshape(8, 8).T
        labels[i] = image[64] + 1
        at += 8
    return np.concatenate([out.ravel(), labels])


for name, count, images in [("train", 1200, rows[:1400]), ("test", 300, rows[1400:])]:
    lines = np.stack([line(images) for _ in range(count)])
    text = "\n".join(",".join(map(str, row)) for row in lines) + "\n"
    path = HERE / f"digit_lines_{name}.csv.gz"
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(path.name, len(lines), "lines,", path.stat().st_size, "bytes")
