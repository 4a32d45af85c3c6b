#!/usr/bin/env bash
# Trains on a CSV file larger than the memory limit. Generates the file, trains on it twice, and checks the peak memory,
# that the loss fell, and that the second run parses nothing and ends with the same bits.
#
#   tests/big_csv.sh [MEGABYTES of the file: 5000] [MEGABYTES of memory: 500, or 150 for files under 1000]
#
# NNC is the binary (default target/release/nnc). All files are in a folder under TMPDIR (/tmp), removed at the end. It
# holds the file and its cache entry, about two thirds of the file's size.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
size=${1:-5000}
most=${2:-$((size < 1000 ? 150 : 500))}
nnc=$(realpath "${NNC:-target/release/nnc}")
here=$(mktemp -d "${TMPDIR:-/tmp}/nnc-big-XXXXXX")
trap 'rm -rf "$here"' EXIT
cd "$here"
export NNC_CACHE=$here/cache

# A row is four pieces of ten numbers out of a thousand such; the class says whether the sum of some of them is above 0.
generate() {
  awk -v megabytes="$size" 'BEGIN {
    srand(1)
    for (i = 0; i < 1000; i++) {
      score[i] = 0
      for (k = 0; k < 10; k++) {
        x = rand() * 4 - 2
        piece[i] = piece[i] sprintf("%.4f,", x)
        if (k < 3) score[i] += x
      }
    }
    for (k = 0; k < 40; k++) printf "f%d,", k
    print "y"
    bytes = megabytes * 1000000
    while (bytes > 0) {
      a = int(rand() * 1000); b = int(rand() * 1000); c = int(rand() * 1000); d = int(rand() * 1000)
      row = piece[a] piece[b] piece[c] piece[d] (score[a] + score[b] + score[c] + score[d] > 0)
      bytes -= length(row) + 1
      print row
    }
  }'
}

cat >big.nn <<'NN'
data big {
  source  csv("big.csv", stream = true)
  column  x : [40]     = f0 .. f39
  column  y : class[2]
  split   { train 98%, val 1%, test 1% }
  fit     seen = statistics(train.x)
  input   x : [40]     = standardize(x, seen)
  target  y : class[2]
}
model Big(x: [40]) -> prob { x |> Dense(16, relu) |> Dense(1, sigmoid) }
train Big on big {
  loss       binary_crossentropy
  optimizer  Adam(1e-3)
  metrics    accuracy
  epochs     1
  batch      256
}
NN

field() { sed -n "s/.*\"event\":\"$2\".*\"$3\":\([-0-9.e]*\).*/\1/p" "$1"; } # EVENTS EVENT FIELD
failed=0
holds() { # WHAT CONDITION (of awk)
  if ! awk "BEGIN { exit !($2) }"; then
    echo "FAILED: $1: $2"
    failed=1
  fi
}

began=$SECONDS
generate >big.csv
echo "big.csv: $(stat -c %s big.csv 2>/dev/null || stat -f %z big.csv) bytes in $((SECONDS - began)) s"
for run in first second; do
  began=$SECONDS
  "$nnc" run big.nn --out "$run" --json >"$run.jsonl" 2>"$run.txt" || { cat "$run.txt"; exit 1; }
  loss=$(field "$run.jsonl" epoch loss)
  val=$(field "$run.jsonl" epoch val_loss)
  peak=$(field "$run.jsonl" saved peak_memory)
  echo "$run run: $((SECONDS - began)) s, peak $((peak / 1000000)) MB, loss $loss, val_loss $val"
  holds "memory" "$peak < $most * 1000000"
  holds "the loss went down" "$val < $loss && $val < 0.6"
done
sed 's/ in .*tables.*//' first.txt
[ "$(grep -c '"event":"cached"' first.jsonl)" = 1 ] || { echo "FAILED: the first run parses once"; failed=1; }
! grep -q '"event":"cached"' second.jsonl || { echo "FAILED: the second run parses again"; failed=1; }
cmp first/weights.safetensors second/weights.safetensors || failed=1
exit $failed
