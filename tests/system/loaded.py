#!/usr/bin/env python3
"""Loads the shared library (argv[1]) with dlopen, as plugins and other languages
do."""
import ctypes
import sys

bide = ctypes.CDLL(sys.argv[1])
handle, policy = ctypes.c_void_p(), ctypes.c_void_p()
assert bide.bide_open(b"/nonexistent/bide", 0, ctypes.byref(handle)) == 0
assert bide.bide_lookup(handle, b"payments", None, ctypes.byref(policy)) == 0
assert bide.bide_close(handle) == 0
print("loaded: 1 passed, 0 failed")
