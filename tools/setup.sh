# SPDX-License-Identifier: BSD-3-Clause
# What tools/quickstart and tools/check share: find or install what is needed, build, and set mpirun up. Sourced, not run.

cd "$(dirname "$0")/.." || exit 1
build=${EOC_BUILD:-build}
python=${EOC_PYTHON:-/usr/bin/python3}

# Debian 12 and Ubuntu 22.04 have the same names.
build_packages="gcc make cmake pkg-config libc6-dev openmpi-bin libopenmpi-dev libhdf5-openmpi-dev libopenblas-dev liblapacke-dev
  librandom123-dev libsleef-dev libyaml-dev zlib1g-dev libcmocka-dev"
python_packages="python3 python3-numpy python3-h5py python3-xarray python3-h5netcdf python3-netcdf4 python3-matplotlib python3-pytest"
slurm_packages="slurm-wlm munge shellcheck" # for the tests of the job scripts, in a private cluster: no service is configured

say() { printf '%s\n' "-- $*"; }

missing_packages() {
    for package in $1; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s ' "$package"
    done
}

# Installs what is missing by apt where there is apt and a way to be root; else says what is needed and goes on.
install_packages() {
    wanted=$1
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        say "no apt here: needed are a C compiler, CMake 3.18, an MPI 3, parallel HDF5 1.10.7 with its high-level library, OpenBLAS, LAPACKE,"
        say "Random123, SLEEF, libyaml, zlib and cmocka (on a cluster: load their modules), and for $python the modules"
        say "numpy h5py xarray h5netcdf netCDF4 matplotlib pytest (pip install -r tools/requirements.txt). Going on with what is there."
        return 0
    fi
    missing=$(missing_packages "$wanted")
    [ -z "$missing" ] && return 0
    root=
    if [ "$(id -u)" != 0 ]; then
        if command -v sudo >/dev/null; then
            root=sudo
        else
            say "these packages are missing, and neither root nor sudo is here to install them: $missing"
            say "going on with what is there"
            return 0
        fi
    fi
    say "installing $missing"
    log=$(mktemp)
    if ! { $root apt-get update -q && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing; } >"$log" 2>&1; then
        tail -n 15 "$log"
        say "apt could not install all of: $missing"
        say "going on with what is there"
    fi
    rm -f "$log"
}

build_eoc() {
    log=$build/build.log
    mkdir -p "$build"
    say "building $build/eoc"
    if ! { cmake -S . -B "$build" "$@" && cmake --build "$build" -j "$(env -u OMP_NUM_THREADS nproc)"; } >"$log" 2>&1; then
        tail -n 40 "$log"
        say "the build failed; all of its output is in $log"
        exit 1
    fi
}

# What Open MPI's mpirun wants on a small machine: more ranks than cores allowed, no binding to cores (two runs at once would
# share them), and, in containers, to be run by root. Other MPIs pass these variables by.
set_up_mpirun() {
    export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none
    if [ "$(id -u)" = 0 ]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    export OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
}
