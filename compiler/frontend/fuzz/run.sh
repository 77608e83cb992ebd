#!/bin/sh
# Runs the fuzz targets, each for SECONDS (default 600), from the programs of this repository:
#   compiler/frontend/fuzz/run.sh [SECONDS] [TARGET...]
# libFuzzer on stable Rust: coverage by LLVM's own pass, no sanitizer (the crates are free of `unsafe`), so neither
# nightly nor cargo-fuzz is needed; a C++ compiler is. What is found stays in findings/; new inputs in work/.
set -eu
cd "$(dirname "$0")"
seconds=${1:-600}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- stablehlo hlo_text hlo_proto bytecode
root=../../..
host=$(rustc -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 --cfg fuzzing ${RUSTFLAGS_EXTRA:-}"
cargo build --release --locked --target "$host"

# Seeds: every program of the tests, in files of their own, without the large ones.
seed() { # TARGET PATTERN...
  mkdir -p "work/$1" findings
  target=$1
  shift
  for pattern; do
    find $root/tests/corpus -name "$pattern" -size -48k | while read -r file; do
      cp "$file" "work/$target/seed-$(echo "$file" | sed "s|^$root/tests/corpus/||; s|/|-|g")"
    done
  done
}
seed stablehlo model.stablehlo.mlir model.generic.mlir
seed hlo_text model.hlo.txt
seed hlo_proto model.hlo.pb
seed bytecode model.mlirbc
for file in $root/tests/conformance/*.mlir; do
  awk -v out="work/stablehlo/seed-$(basename "$file" .mlir)" 'BEGIN { n = 0 } /^\/\/ -----/ { n++; next } { print > (out "-" n) }' "$file"
done

status=0
for target; do
  dictionary=
  [ -f "$target.dict" ] && dictionary="-dict=$target.dict"
  echo "== $target, $seconds s"
  "${CARGO_TARGET_DIR:-target}/$host/release/$target" "work/$target" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=2048 \
    -max_len=65536 -artifact_prefix="findings/$target-" -print_final_stats=1 $dictionary 2>"work/$target.log" || status=1
  grep -E 'SUMMARY|stat::number_of_executed_units|stat::peak_rss_mb' "work/$target.log" || true
done
exit $status
