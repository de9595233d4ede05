#!/usr/bin/env bash
# The simulator's runs are the same under another version of Node.js: same-runs.sh 22
set -eu
cd "$(dirname "$0")/.."
here=$(node scripts/hashes.mjs --seeds 20)
there=$(bash scripts/with-node.sh "$1" node scripts/hashes.mjs --seeds 20 | grep -v '^v')
if [ "$here" != "$there" ]; then
  echo "runs differ between $(node --version) and Node.js $1:"
  diff <(echo "$here") <(echo "$there") || true
  exit 1
fi
echo "20 runs are the same under $(node --version) and Node.js $1"
