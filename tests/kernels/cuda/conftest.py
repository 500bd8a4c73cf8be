"""compile_kernels.py is a program of its own: it takes the place of Triton's driver."""

collect_ignore = ["compile_kernels.py"]
