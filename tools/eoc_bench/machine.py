# SPDX-License-Identifier: BSD-3-Clause
"""What it ran on: processor, memory, system, versions, and what else the machine was doing."""
import os
import platform
import subprocess
import time


def lines_of(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
    except OSError:
        return []


def value_after(path, key, separator):
    for line in lines_of(path):
        if line.startswith(key):
            return line.partition(separator)[2].strip().strip('"')
    return ""


def memory_gib():
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def build_type(program):
    """CMake's build type, from the cache beside the program."""
    return value_after(os.path.join(os.path.dirname(program), "CMakeCache.txt"), "CMAKE_BUILD_TYPE:", "=") or "unknown"


def describe(program):
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "processor": value_after("/proc/cpuinfo", "model name", ":") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory_gib(), 1),
        "system": value_after("/etc/os-release", "PRETTY_NAME", "=") or platform.system(),
        "load": os.getloadavg()[0],
        "eoc": version.stdout.strip().splitlines(),
        "build_type": build_type(program),
    }
