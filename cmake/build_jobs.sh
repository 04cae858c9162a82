# For ./dev: how many compilers may run at once.

# build_jobs [MEMINFO]: one for each core, but no more than memory has room for; at least one. The
# largest of our files takes 1.1 GB to compile.
build_jobs() {
  local cores most
  cores=$(nproc)
  most=$(awk '/^MemAvailable:/ { print int($2 / 1500000) }' "${1:-/proc/meminfo}")
  ((most < cores)) || most=$cores
  echo $((most > 0 ? most : 1))
}
