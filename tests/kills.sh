#!/usr/bin/env bash
# A hundred kills (kill -9) of a run at random moments, ten of them during a save, each time
# taken up again: every run must end with the bits of one that was never stopped.
# Usage: tests/kills.sh [HOW MANY]
set -euo pipefail
cd "$(dirname "$0")/.."
NNC_KILLS="${1:-100}" cargo test --release --locked --test suite -- --nocapture runs::a_run_that_is_killed
