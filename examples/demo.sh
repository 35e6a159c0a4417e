#!/bin/sh
# The main job: gate a sound checkpoint, then a broken one, which must turn the build red.
cd "$(dirname "$0")/.." || exit 1

echo '$ pytest examples --quant-scheme=w8a8-fp8'
pytest examples --quant-scheme=w8a8-fp8 || exit 1

broken=examples/checkpoints/broken-w8a8-fp8-shifted-scales
echo
echo "\$ pytest examples --quant-scheme=w8a8-fp8 --quant-checkpoint=$broken"
pytest examples --quant-scheme=w8a8-fp8 --quant-checkpoint=$broken
status=$?
echo
if [ $status -ne 1 ]; then
    echo "demo: the broken checkpoint ended with $status, and 1 was expected" >&2
    exit 1
fi
echo "demo: the sound checkpoint is green, and the broken one is red, as it should be"
