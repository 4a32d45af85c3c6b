#!/usr/bin/env bash
# Kills a run (kill -9) a hundred times at random moments, ten of them during a save, and resumes it each
# time. Every run must end with the same bits as an uninterrupted one.
# Usage: tests/kills.sh [NUMBER OF KILLS]
set -euo pipefail
cd "$(dirname "$0")/.."
NNC_KILLS="${1:-100}" cargo test --release --locked --test suite -- --nocapture runs::a_run_that_is_killed
