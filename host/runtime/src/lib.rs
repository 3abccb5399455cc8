//! Composition root: configuration, threads, clocks, and the jobs that the command line starts.
